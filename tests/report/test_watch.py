"""`mt-grpo watch`: what the view says of a run, which steps get a line, and when it ends."""

import io
import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console
from synthetic import synthetic_lines, with_costs, write_log, write_run

from mt_grpo_recipe.cli import main
from mt_grpo_recipe.metrics import STEPS_LEFT
from mt_grpo_recipe.report import watch_cli
from mt_grpo_recipe.report.measure.progress import progress_of
from mt_grpo_recipe.report.read import decisions
from mt_grpo_recipe.report.read.log import Series, read_run
from mt_grpo_recipe.report.show.live import course, run_view


@pytest.fixture
def watch(capsys):
    """Run the command as a user does; return its exit status and what it printed."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["watch", *map(str, arguments)])
        return ended.value.code, capsys.readouterr().out

    return run


@pytest.fixture
def growing(monkeypatch, tmp_path):
    """A run's folder whose log gets one more line each time the command waits."""
    log = tmp_path / "run" / "metrics.jsonl"
    log.parent.mkdir()

    def start(lines):
        rest = iter(lines)

        def write_next(_):
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(next(rest)) + "\n")

        monkeypatch.setattr(watch_cli.time, "sleep", write_next)
        return log.parent

    return start


def row(text, task):
    (line,) = [line for line in text.splitlines() if line.strip().startswith(task)]
    return re.split(r"\s{2,}", line.strip())


def test_the_view_says_what_the_log_says(tmp_path, watch):
    run = write_run(tmp_path / "run", seed=3, steps=40, n=8)
    status, text = watch(run, "--once")
    data = [line["data"] for line in with_costs(synthetic_lines(seed=3, steps=40), n=8)]
    seconds = float(np.median([d["timing_s/step"] for d in data[-10:]]))
    assert (status, text.splitlines()[0]) == (
        0,
        f"mt_grpo, seed 3: step 40 of 40, {seconds:.1f} s per step, finished",
    )

    def late(name):
        return f"{100 * np.mean([d[f'mt_grpo/{name}/arc'] for d in data[-10:]]):.1f}"

    def total(name, task="arc"):
        return sum(d.get(f"mt_grpo/{name}/{task}", 0) for d in data)

    name, weight, blocks, *numbers = row(text, "arc")
    assert (name, weight, len(blocks)) == ("arc", f"{100 * data[-1]['mt_grpo/weight/arc']:.1f}", 16)
    rates = [late(metric) for metric in ("target_share", "batch_share", "accuracy", "zero_grad_rate")]
    assert numbers == [*rates, *(f"{total(metric):,.0f}" for metric in ("generated_rollouts", "trained_rollouts"))]
    worst, average = (100 * data[-1][f"val-core/mt_grpo/{name}"] for name in ("worst_task_acc", "avg_acc"))
    assert f"validated at step 40: worst task {worst:.1f}, average {average:.1f}; at step 0:" in text


def test_time_left_counts_steps_and_validations(tmp_path):
    lines = synthetic_lines(steps=40)[:31]
    progress = progress_of(read_run(write_log(tmp_path / "a.jsonl", lines)))
    spent = sum(d["data"].get(name, 0.0) for d in lines for name in ("timing_s/step", "timing_s/testing"))
    assert (progress.step, progress.total, progress.finished) == (30, 40, False)
    assert progress.seconds_left == pytest.approx(spent / 30 * 10)


def test_without_a_number_of_steps_there_is_no_time_left(tmp_path, watch):
    lines = synthetic_lines(steps=5)
    for line in lines:
        line["data"].pop(STEPS_LEFT.name, None)
    text = watch(write_log(tmp_path / "a.jsonl", lines), "--once")[1]
    assert "step 5," in text.splitlines()[0] and "left" not in text.splitlines()[0]


def test_a_task_that_gets_less_than_half_of_its_share_is_marked(tmp_path, watch):
    lines = synthetic_lines(steps=20)
    for line in lines[1:]:
        line["data"] |= {"mt_grpo/target_share/arc": 0.4, "mt_grpo/batch_share/arc": 0.19}
        line["data"] |= {"mt_grpo/target_share/zebra": 0.4, "mt_grpo/batch_share/zebra": 0.2}
    lines[-1]["data"]["mt_grpo/failing_steps/countdown"] = 2.0
    text = watch(write_log(tmp_path / "a.jsonl", lines), "--once")[1]
    marks = [row(text, task)[-1] for task in ("countdown", "arc", "zebra")]
    assert marks[:2] == ["failing: 2 steps", "short"]
    assert marks[2] == "-", "no rollouts are logged, and nothing stands behind them"
    assert "short: the task got less than half of the share of the batch that was asked for." in text


def test_a_task_that_was_asked_for_and_not_trained_on_is_marked_and_told_of_in_words(tmp_path, watch):
    lines = synthetic_lines(steps=20)
    for line in lines[-10:]:
        line["data"] |= {"mt_grpo/target_share/arc": 0.4, "mt_grpo/batch_share/arc": 0.0}
    text = watch(write_log(tmp_path / "a.jsonl", lines), "--once")[1]
    assert any(line.split()[0] == "arc" and line.split()[-1] == "starved" for line in text.splitlines() if line.split())
    said = "arc is starved: 10 steps from step 11 on asked for it and none trained on a group of it with a gradient."
    assert said in " ".join(text.split())
    assert "short:" not in text


def test_a_log_without_the_plugin_and_names_with_brackets_pass(tmp_path, watch):
    plain = [{"step": 1, "data": {"timing_s/step": 1.0}}]
    assert "The log has no metrics of mt_grpo" in watch(write_log(tmp_path / "a.jsonl", plain), "--once")[1]
    named = [{"step": 1, "data": {"mt_grpo/weight/[red]$x": 1.0, "timing_s/step": 1.0}}]
    assert row(watch(write_log(tmp_path / "b.jsonl", named), "--once")[1], "[red]$x")[1] == "100.0"


@pytest.mark.parametrize("place", decisions.PLACES)
def test_a_step_that_is_decided_and_not_logged_is_said_to_be_on_its_way(tmp_path, watch, place):
    run = write_run(tmp_path / "run", steps=5)
    file = run / place
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"step": 5}\n', encoding="utf-8")
    assert "step 5 is trained" not in watch(run, "--once")[1]
    file.write_text('{"step": 5}\n{"step": 6}\n{"st', encoding="utf-8")
    assert "step 6 is trained, and is being saved or validated." in watch(run, "--once")[1]
    for cut in ('{"st', '{"step": 5}\n{"ste\n', '{"step": 5}\n7\n'):
        file.write_text(cut, encoding="utf-8")
        assert decisions.last_decided_step(run) is None


def test_a_step_of_a_run_that_was_killed_long_ago_is_not_on_its_way(tmp_path, watch):
    run = write_run(tmp_path / "run", steps=5)
    (run / "decisions.jsonl").write_text('{"step": 6}\n', encoding="utf-8")
    os.utime(run / "decisions.jsonl", (time.time() - 7200,) * 2)
    text = watch(run, "--once")[1]
    assert "step 6 was trained and not logged." in text and "being saved" not in text


@pytest.mark.parametrize("lost", ["worst_task_acc", "avg_acc"])
def test_a_summary_that_a_validation_lacks_is_a_dash(tmp_path, watch, lost):
    lines = synthetic_lines(steps=6, test_freq=3)
    data = lines[-1]["data"]
    data[f"val-core/mt_grpo/{lost}"] = data["val-core/mt_grpo/acc/arc"] = None  # NaN is logged so.
    said = {
        name: "-" if name == lost else f"{100 * data[f'val-core/mt_grpo/{name}']:.1f}"
        for name in ("worst_task_acc", "avg_acc")
    }
    run = write_log(tmp_path / "r" / "a.jsonl", lines).parent
    summary = "worst task {worst_task_acc}, average {avg_acc}".format(**said)
    assert f"| validated: {summary}" in watch(run)[1].splitlines()[-1]
    assert f"validated at step 6: {summary}; at step 0: " in watch(run, "--once")[1]


def test_nothing_there_several_runs_and_no_step_are_refused(tmp_path, watch):
    assert "there is no run at" in watch(tmp_path / "nowhere")[0]
    (tmp_path / "bare").mkdir()
    assert "bare holds no *.jsonl log" in watch(tmp_path / "bare", "--once")[0]
    for name in "ab":
        write_run(tmp_path / "runs" / name, steps=3)
    assert "holds 2 runs: name one of them" in watch(tmp_path / "runs")[0]


# ---------------------------------------------------------------------- following


def test_outside_a_terminal_each_step_gets_its_line_as_it_comes(growing, watch):
    lines = synthetic_lines(tasks=("arc", "zebra"), steps=3, test_freq=2)
    status, text = watch(growing(lines))
    waiting, *printed = text.splitlines()
    assert status == 0 and waiting.startswith("Waiting for the first step of")
    assert [line.split(",")[0].split(" |")[0] for line in printed] == ["step 0", *(f"step {n} of 3" for n in (1, 2, 3))]
    data = lines[1]["data"]
    seconds = data["timing_s/step"]
    pace, *tasks = printed[1].split(" | ")
    assert pace == f"step 1 of 3, {seconds:.1f} s per step, about {2 * seconds:.1f} s left"
    assert tasks == [
        f"{task}: z {100 * data[f'mt_grpo/weight/{task}']:.1f}, accuracy {100 * data[f'mt_grpo/accuracy/{task}']:.1f}"
        for task in ("arc", "zebra")
    ]
    assert ["validated" in line for line in printed] == [True, False, True, True]


def test_steps_that_come_together_get_a_line_each(tmp_path, watch):
    text = watch(write_run(tmp_path / "run", steps=4))[1]
    assert len(text.splitlines()) == 5


def test_in_a_terminal_the_view_is_drawn_until_the_run_has_finished(growing):
    path = growing(synthetic_lines(steps=3))
    console = Console(file=io.StringIO(), force_terminal=True, width=150)
    watch_cli._show_live(path, watch_cli._follow(path, None), console)
    drawn = console.file.getvalue()
    places = [drawn.index(words) for words in ("Waiting for the first step", "step 0", "step 1 of 3", "step 3 of 3")]
    assert places == sorted(places)


def test_it_says_when_nothing_was_logged_for_long(tmp_path):
    run = write_run(tmp_path / "run", steps=2)
    (log,) = run.glob("*.jsonl")
    os.utime(log, (0, 0))
    console = Console(file=io.StringIO(), force_terminal=True, width=150)
    watch_cli._show_live(run, watch_cli._follow(run, None), console)
    assert "Nothing was logged for" in console.file.getvalue()


def test_it_ends_with_the_process_even_before_the_first_step(tmp_path, watch):
    (tmp_path / "run").mkdir()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    status, text = watch(tmp_path / "run", "--pid", ended.pid)
    assert status == 0 and text.startswith("Waiting for the first step of") and len(text.splitlines()) == 1


def test_what_the_process_wrote_last_is_shown(growing, watch, monkeypatch):
    lines = synthetic_lines(steps=9)[:3]
    alive = iter([True, True, True, False])
    monkeypatch.setattr(watch_cli, "_is_alive", lambda pid: next(alive))
    assert [line.split(",")[0] for line in watch(growing(lines), "--pid", "1")[1].splitlines()][2:] == [
        "step 1 of 9",
        "step 2 of 9",
    ]


def test_an_interrupt_is_told_to_the_script(tmp_path, watch, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_cli.time, "sleep", interrupt)
    assert watch(write_log(tmp_path / "r" / "a.jsonl", synthetic_lines(steps=9)[:3]).parent)[0] == 130


# ---------------------------------------------------------------------- the course of z


@pytest.mark.parametrize(
    ("values", "top", "blocks"),
    [([], 1.0, ""), ([0.0, 0.5, 1.0], 1.0, "▁▅█"), ([0.2] * 40, 0.2, "█" * 16), ([0.0, 0.0, 1.0, 1.0], 1.0, "▁█")],
)
def test_a_course_is_blocks_from_nothing_to_the_top(values, top, blocks):
    width = 2 if len(values) == 4 else 16
    assert course(Series.of(dict(enumerate(values))), top, width=width) == blocks


@pytest.mark.parametrize(("width", "shown"), [(80, False), (120, True)])
def test_a_narrow_terminal_shows_every_number_and_leaves_out_the_course(tmp_path, width, shown):
    run = read_run(write_run(tmp_path / "run", tasks=("countdown-mini", "arc-mini"), steps=20, n=8))
    console = Console(file=io.StringIO(), width=width)
    console.print(run_view(run, width))
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    headers = ("task", "target", "batch", "accuracy", "zero-grad", "generated", "trained")
    assert all(header in text for header in headers)
    assert ("course of z" in text) == shown
    assert "countdown-mini" in text
