"""Every number of the tables in run_scripts/mini/EQUAL_STEPS.md, recomputed from the committed logs."""

import gzip
import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import pytest

from mt_grpo_recipe.cli import main

pytestmark = pytest.mark.slow

MINI = Path(__file__).resolve().parents[2] / "run_scripts" / "mini"
LOGS = MINI / "logs" / "equal"
TEXT = (MINI / "EQUAL_STEPS.md").read_text(encoding="utf-8")
TASKS = ("countdown-mini", "arc-mini", "zebra-mini")
STEPS = 80


class Run:
    """One run's log, read without the report's code."""

    def __init__(self, folder):
        said = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        self.method, self.seed = said["method"], said["seed"]
        self.steps = defaultdict(dict)
        for log in sorted(folder.glob("*.jsonl.gz")):
            for line in gzip.decompress(log.read_bytes()).decode().splitlines():
                entry = json.loads(line)
                self.steps[entry["step"]] |= entry["data"]
        self.validated = sorted(s for s, data in self.steps.items() if "val-core/mt_grpo/acc/arc-mini" in data)
        self.trained = range(1, STEPS + 1)

    def accuracy(self, step):
        return {task: self.steps[step][f"val-core/mt_grpo/acc/{task}"] for task in TASKS}

    def worst(self, step):
        return min(self.accuracy(step).values())

    def average(self, step):
        return fmean(self.accuracy(step).values())

    def spent(self, step, kind):
        """Seconds of training or prompts generated up to and with a step."""
        if kind == "time":
            return sum(self.steps[s]["timing_s/step"] for s in range(1, step + 1))
        return sum(self.prompts(s) for s in range(1, step + 1))

    def prompts(self, step):
        return sum(self.steps[step][f"mt_grpo/generated/{task}"] for task in TASKS)

    def late(self, metric):
        found = [self.steps[s][metric] for s in range(STEPS - 9, STEPS + 1) if metric in self.steps[s]]
        return fmean(found) if found else None

    def gaps(self, task):
        return [
            abs(self.steps[s][f"mt_grpo/batch_share/{task}"] - self.steps[s][f"mt_grpo/target_share/{task}"])
            for s in self.trained
            if f"mt_grpo/batch_share/{task}" in self.steps[s]
        ]


RUNS = [Run(folder) for folder in sorted(LOGS.iterdir())]
METHODS = {method: [r for r in RUNS if r.method == method] for method in dict.fromkeys(r.method for r in RUNS)}
LEAN = METHODS["mt_grpo_lean"]


def table(title):
    """The rows of a table of EQUAL_STEPS.md: one dict per row, heading -> cell; headings that occur twice count up."""
    block = TEXT.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("|")]
    headings = []
    for heading in lines[0]:
        headings.append(heading if heading not in headings else f"{heading} again")
    return [dict(zip(headings, cells, strict=True)) for cells in lines[2:]]


def number(cell):
    """Mean and deviation that a cell shows, times in seconds, with half a unit of the last digit shown."""
    text = cell.replace(",", "")
    unit = {"min": 60.0, "h": 3600.0}.get(re.sub(r" \(\d of \d\)", "", text).rsplit(" ", 1)[-1], 1.0)
    found = re.findall(r"[+-]?\d+(?:\.\d+)?", text.split(" (")[0])
    return [float(n) * unit for n in found], [0.51 * unit * 10 ** -len(n.partition(".")[2]) for n in found]


def agree(cell, values, scale=1.0):
    """The cell shows mean and sample deviation of the values, and how many of the runs have one."""
    known = [scale * v for v in values if v is not None]
    if not known:
        assert cell == "-"
        return
    shown, slack = number(cell)
    assert shown[0] == pytest.approx(fmean(known), abs=slack[0])
    deviation = stdev(known) if len(known) > 1 else 0.0
    assert (shown[1] if len(shown) > 1 else 0.0) == pytest.approx(deviation, abs=slack[-1])
    counted = f"({len(known)} of {len(values)})"
    assert (counted in cell) == (len(known) < len(values))


def test_the_comparison_is_whole():
    assert {"grpo", "dapo", "mt_grpo", "mt_grpo_stream"} <= {m for m, runs in METHODS.items() if len(runs) >= 3}
    assert METHODS.keys() >= {"sec_grpo", "sec_dapo", "grpo_iwu", "grpo_rps", "mt_grpo_reg", "mt_grpo_0.1"}
    assert all(sorted(s for s in r.steps if s) == list(r.trained) and r.validated[-1] == STEPS for r in RUNS)
    assert all(len({r.seed for r in runs}) == len(runs) for runs in METHODS.values())


def test_lean_costs_what_grpo_costs_and_discards_nothing():
    assert sorted(run.seed for run in LEAN) == sorted(run.seed for run in METHODS["grpo"])
    for run in (*LEAN, *METHODS["grpo"]):
        assert run.spent(STEPS, "prompts") == 960
    assert all(
        run.steps[step][f"mt_grpo/discarded/{task}"] == 0 for run in LEAN for step in run.trained for task in TASKS
    )


def test_lean_beside_grpo_at_the_same_prompts():
    grpo_of = {run.seed: run for run in METHODS["grpo"]}
    rows = table("At the cost of GRPO")
    assert [int(row["prompts"]) for row in rows] == [240, 480, 720, 960]
    for row in rows:
        step = int(row["prompts"]) // 12
        for heading, named, measure in (
            ("worst task", "difference", Run.worst),
            ("average", "difference of averages", Run.average),
        ):
            lean = [measure(run, step) for run in LEAN]
            grpo = [measure(grpo_of[run.seed], step) for run in LEAN]
            agree(row[f"{heading}, mt_grpo_lean"], lean, 100)
            agree(row[f"{heading}, grpo"], grpo, 100)
            apart = [100 * (ours - theirs) for ours, theirs in zip(lean, grpo, strict=True)]
            shown, slack = number(row[named])
            # 4.303 is the 97.5 % quantile of Student's t for two degrees of freedom.
            expected = [fmean(apart), 4.303 * stdev(apart) / 3**0.5]
            assert shown == [pytest.approx(value, abs=bound) for value, bound in zip(expected, slack, strict=True)]


def test_the_differences_at_the_top():
    found = [float(m) for m in re.findall(r"^\| .* \| ([+-]?\d+\.\d+) \| ", TEXT.split("\n## ", 1)[0], re.MULTILINE)]
    worst, average, steps_to_20 = {}, {}, {}
    for method in ("grpo", "dapo", "mt_grpo", "mt_grpo_stream"):
        runs = METHODS[method]
        worst[method] = 100 * fmean(r.worst(STEPS) for r in runs)
        average[method] = 100 * fmean(r.average(STEPS) for r in runs)
        if method != "grpo":
            steps_to_20[method] = fmean(next(s for s in r.validated if r.worst(s) >= 0.2 - 1e-9) for r in runs)
    exact = [r for method in ("mt_grpo", "mt_grpo_stream", "grpo_rps") for r in METHODS[method]]
    assert found == [
        pytest.approx(worst["mt_grpo"] - worst["grpo"], abs=0.051),
        pytest.approx(worst["mt_grpo"] - worst["dapo"], abs=0.051),
        pytest.approx(average["mt_grpo"] - average["dapo"], abs=0.051),
        pytest.approx(steps_to_20["mt_grpo"] / steps_to_20["dapo"], abs=0.0051),
        pytest.approx(steps_to_20["mt_grpo_stream"] / steps_to_20["dapo"], abs=0.0051),
        pytest.approx(100 * max(max(r.gaps(task)) for r in exact for task in TASKS), abs=0.051),
    ]


def test_the_results_show_the_same():
    shown = (MINI / "RESULTS.md").read_text(encoding="utf-8")
    assert int(re.search(r"three seeds of (\d+) steps", shown)[1]) == STEPS
    rows = re.findall(r"^\| \**`(\w+)`\**(?::.*?)? \| ([\d,]+) \| (\d+\.\d) % \|$", shown, re.MULTILINE)
    assert [name for name, _, _ in rows] == ["grpo", "dapo", "mt_grpo", "mt_grpo_stream", "mt_grpo_lean"]
    for name, prompts, worst in rows:
        runs = METHODS[name]
        assert float(worst) == pytest.approx(100 * fmean(run.worst(STEPS) for run in runs), abs=0.051)
        spent = fmean(sum(run.prompts(step) for step in run.trained) for run in runs)
        assert int(prompts.replace(",", "")) == pytest.approx(spent, abs=0.51)


def test_worst_task_average_and_change():
    base = {task: fmean(r.accuracy(STEPS)[task] for r in METHODS["dapo"]) for task in TASKS}
    rows = table("Worst task and average")
    assert {row["method"] for row in rows} == set(METHODS)
    for row in rows:
        runs = METHODS[row["method"]]
        assert row["runs"] == str(len(runs))
        agree(row["steps"], [STEPS for _ in runs])
        agree(row["worst task, final %"], [r.worst(STEPS) for r in runs], 100)
        agree(row["average, final %"], [r.average(STEPS) for r in runs], 100)
        for heading, kind, at in (("worst task", Run.worst, "at step"), ("average", Run.average, "at step again")):
            top = [max(r.validated, key=lambda s, r=r, kind=kind: (kind(r, s), -s)) for r in runs]
            agree(row[f"{heading}, best %"], [kind(r, s) for r, s in zip(runs, top, strict=True)], 100)
            agree(row[at], top)
        changes = [100 * fmean((r.accuracy(STEPS)[t] - base[t]) / base[t] for t in TASKS) for r in runs]
        agree(row["change vs dapo %"], changes)
        for r in runs:
            assert min(r.accuracy(STEPS), key=r.accuracy(STEPS).__getitem__) in row["which"]


def test_accuracy_task_by_task():
    base = {task: fmean(r.accuracy(STEPS)[task] for r in METHODS["dapo"]) for task in TASKS}
    for row, change in zip(
        table("Final accuracy, task by task"), table("Change against dapo, task by task"), strict=True
    ):
        assert row["method"] == change["method"]
        for task in TASKS:
            finals = [r.accuracy(STEPS)[task] for r in METHODS[row["method"]]]
            agree(row[f"{task} %"], finals, 100)
            agree(change[f"{task} %"], [100 * (f - base[task]) / base[task] for f in finals])


def test_the_same_cost_for_all():
    budget = {kind: min(r.spent(STEPS, kind) for r in RUNS) for kind in ("time", "prompts")}
    for row in table("The same cost for all"):
        for kind, most in budget.items():
            runs = METHODS[row["method"]]
            last = [max(s for s in r.validated if r.spent(s, kind) <= most + 1e-6) for r in runs]
            agree(row[f"worst task at equal {kind} %"], [r.worst(s) for r, s in zip(runs, last, strict=True)], 100)
            agree(row[f"average at equal {kind} %"], [r.average(s) for r, s in zip(runs, last, strict=True)], 100)


def test_how_soon_the_worst_task_gets_there():
    rows = table("How soon the worst task gets there")
    levels = [float(heading.split()[2]) / 100 for heading in rows[0] if heading.startswith("steps to")]
    assert levels
    for row in rows:
        for level in levels:
            runs = METHODS[row["method"]]
            first = [next((s for s in r.validated if r.worst(s) >= level - 1e-9), None) for r in runs]
            agree(row[f"steps to {100 * level:g} %"], first)
            for kind in ("time", "prompts"):
                spent = [None if s is None else r.spent(s, kind) for r, s in zip(runs, first, strict=True)]
                agree(row[f"{kind} to {100 * level:g} %"], spent)


def test_what_each_task_was_given():
    for row in table("What each task was given"):
        runs, task = METHODS[row["method"]], row["task"]
        late = {
            "weight %": ("weight", 100),
            "asked for %": ("target_share", 100),
            "got %": ("batch_share", 100),
            "zero-gradient %": ("zero_grad_rate", 100),
            "prompts per step": ("generated", 1),
            "missing per step": ("shortfall", 1),
            "loss weight": ("loss_weight", 1),
        }
        for heading, (metric, scale) in late.items():
            agree(row[heading], [r.late(f"mt_grpo/{metric}/{task}") for r in runs], scale)
        agree(row["mean gap, points"], [fmean(r.gaps(task)) for r in runs], 100)
        agree(row["largest gap, points"], [max(max(r.gaps(task)) for r in runs)], 100)


def test_what_it_cost():
    for row in table("What it cost"):
        runs = METHODS[row["method"]]
        means = {
            "rounds per step": "mt_grpo/rounds",
            "time per step": "timing_s/step",
            "generation per step": "timing_s/gen",
            "update per step": "timing_s/update_actor",
            "tokens per response": "response_length/mean",
        }
        for heading, metric in means.items():
            agree(row[heading], [fmean(r.steps[s][metric] for s in r.trained) for r in runs])
        agree(row["prompts per step"], [fmean(r.prompts(s) for s in r.trained) for r in runs])
        for heading, metric in (("failed groups", "failed_groups"), ("skipped updates", "skipped_update")):
            agree(row[f"{heading} in all"], [sum(r.steps[s][f"mt_grpo/{metric}"] for s in r.trained) for r in runs])
        agree(row["prompts in all"], [r.spent(STEPS, "prompts") for r in runs])
        agree(row["time in all"], [r.spent(STEPS, "time") for r in runs])


def test_the_report_of_the_committed_logs_is_the_one_shown(tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["report", str(LOGS), "--baseline", "dapo", "-o", str(tmp_path)])
    assert ended.value.code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for name in ("summary", "tasks", "task-changes", "budget", "thresholds", "sampling", "cost"):
        written = (tmp_path / "tables" / f"{name}.md").read_text(encoding="utf-8")
        shown = written[written.index("|") :].split("\n\n", 1)[0].strip()
        assert shown in TEXT, name
    assert all(method in page for method in METHODS)
