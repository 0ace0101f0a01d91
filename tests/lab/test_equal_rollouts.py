"""The tables of the comparison at equal rollouts: by hand, and as the committed logs give them."""

import json
import math
from collections import Counter

import against_verl
import budgets
import compare
import comparisons
import equal_rollouts
import pyarrow.parquet as pq
import pytest

from mt_grpo_recipe.report.read.log import read_run


def step_log(step, groups, weights, trained, generated, no_gradient, worst=None):
    """A line of the log, tasks a and b; `groups` since the run began."""
    data = {"mt_grpo/total_rollouts": 8 * groups}
    for place, task in enumerate("ab"):
        data |= {f"mt_grpo/weight/{task}": weights[place], f"mt_grpo/trained/{task}": trained[place]}
        data |= {f"mt_grpo/generated/{task}": generated[place]}
        if generated[place]:
            data[f"mt_grpo/zero_grad_rate/{task}"] = no_gradient[place] / generated[place]
    if worst is not None:
        data |= {"val-core/mt_grpo/worst_task_acc": worst, "val-core/mt_grpo/avg_acc": worst + 0.1}
    return {"step": step, "data": data}


@pytest.fixture
def run(tmp_path):
    lines = [
        {"step": 0, "data": {"val-core/mt_grpo/worst_task_acc": 0.1, "val-core/mt_grpo/avg_acc": 0.2}},
        step_log(1, 400, (0.5, 0.5), (100, 100), (200, 200), (50, 100)),
        step_log(2, 1000, (0.75, 0.25), (300, 0), (600, 0), (300, 0), worst=0.3),
        step_log(3, 2500, (0.5, 0.5), (500, 400), (700, 800), (100, 400), worst=0.6),
    ]
    (tmp_path / "run.json").write_text(json.dumps({"method": "grpo_b6", "seed": 0}))
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return read_run(tmp_path)


def test_accuracy_is_interpolated_over_groups(run):
    assert budgets.at_groups(run, budgets.worst_accuracy, 500) == pytest.approx(20)
    assert budgets.at_groups(run, budgets.mean_accuracy, 1750) == pytest.approx(55)
    with pytest.raises(ValueError, match="2500 groups, fewer than 2600"):
        budgets.at_groups(run, budgets.worst_accuracy, 2600)


def test_groups_to_a_level(run):
    assert budgets.groups_to(run, 40) == pytest.approx(1500)
    assert budgets.groups_to(run, 59.9) == math.inf, "reached after the last budget"
    assert budgets.groups_to(run, 70) == math.inf


def test_shares_and_what_was_trained_on(run):
    """Trained 900 of a and 500 of b; due are 100 + 225 + 450 of a. Generated with a gradient: 1,050 and 500."""
    assert budgets.share_error(run) == pytest.approx(100 * 125 / 1400)
    assert budgets.trained_over_informative(run) == pytest.approx(100 * 1400 / 1550)


def test_groups_without_a_gradient_do_not_count_as_trained_on(tmp_path):
    line = step_log(1, 400, (0.5, 0.5), (200, 120), (200, 200), (50, 60))
    (tmp_path / "run.json").write_text(json.dumps({"method": "grpo_b6", "seed": 0}))
    (tmp_path / "metrics.jsonl").write_text(f"{json.dumps(line)}\n")
    _, trained, _ = budgets.gradient_counts(read_run(tmp_path))
    assert trained.tolist() == [[150, 120]]


def test_filtered_groups_are_lost_even_if_they_have_a_gradient(tmp_path):
    line = step_log(1, 400, (0.5, 0.5), (100, 100), (200, 200), (50, 150))
    line["data"] |= {"mt_grpo/filtered_rate/a": 0.5, "mt_grpo/filtered_rate/b": 0.0}
    (tmp_path / "run.json").write_text(json.dumps({"method": "dapo_b6", "seed": 0}))
    (tmp_path / "metrics.jsonl").write_text(f"{json.dumps(line)}\n")
    generated, trained, _ = budgets.gradient_counts(read_run(tmp_path))
    assert generated.tolist() == [[100, 50]] and trained.tolist() == [[100, 50]]


def test_the_interval_of_a_mean():
    assert budgets.half_width([1.0, 2.0, 3.0]) == pytest.approx(4.303 / math.sqrt(3))


def test_every_run_is_trained_once_and_on_puzzles_of_its_stage():
    for setting in comparisons.SETTINGS.values():
        choose, report = list(setting.runs("choose")), list(setting.runs("report"))
        for runs in (choose, report):
            assert len({run.folder for run in runs}) == len(runs)
        assert choose or not setting.grid
        assert not {run.seed for run in choose} & {run.seed for run in report}
        for own, others in zip(setting.puzzles("choose"), setting.puzzles("report"), strict=True):
            assert own != others
    folders = [setting.data for setting in comparisons.SETTINGS.values()]
    assert len(set(folders)) == len(folders)


def test_unequal_files_hold_the_first_puzzles_of_each_task(data, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "TEST_PUZZLES", 4)
    rows = {"countdown-mini": 7, "arc-mini": 2, "zebra-mini": 20}
    compare.prepare(tmp_path, 0, rows)
    kept = pq.read_table(tmp_path / "train.parquet").to_pylist()
    whole = pq.read_table(data / "train.parquet").to_pylist()
    assert Counter(row["extra_info"]["task"] for row in kept) == rows
    for task, count in rows.items():
        prompts = [[row["prompt"] for row in table if row["extra_info"]["task"] == task] for table in (kept, whole)]
        assert prompts[0] == prompts[1][:count]
    assert pq.read_table(tmp_path / "test.parquet").equals(pq.read_table(data / "test.parquet"))


def test_the_page_is_written_from_the_logs():
    assert equal_rollouts.PAGE.read_text(encoding="utf-8") == equal_rollouts.page()


@pytest.mark.parametrize("setting", [name for name, described in comparisons.SETTINGS.items() if described.grid])
def test_the_batches_are_those_of_the_best_worst_task_on_other_puzzles(setting):
    described = comparisons.SETTINGS[setting]
    table = list(equal_rollouts.choice_rows(budgets.runs_of("choose", setting)))
    assert "\n".join(table) in (comparisons.MINI / "PROTOCOL.md").read_text(encoding="utf-8")
    sizes = [int(cell.split()[1]) for cell in table[0].strip("|").split("|")[1:]]
    assert len(table) == 2 + len(described.grid)
    for row in table[2:]:
        method, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        worst_of = {size: float(cell) for size, cell in zip(sizes, cells, strict=True) if cell}
        assert described.batches[method] == max(worst_of, key=worst_of.__getitem__)


@pytest.mark.parametrize("setting", comparisons.SETTINGS)
def test_every_reported_run_has_the_batch_and_learning_rate_of_its_method(setting):
    runs = budgets.by_method(budgets.runs_of("report", setting))
    described = comparisons.SETTINGS[setting]
    assert set(described.grid) <= set(runs) <= set(described.batches)
    for method, versions in runs.items():
        assert list(versions) == [(described.batches[method], described.rates.get(method, comparisons.LEARNING_RATE))]
    seeds = {tuple(run.seed for run in own) for batches in runs.values() for own in batches.values()}
    assert seeds == {comparisons.SETTINGS[setting].seeds}


@pytest.mark.parametrize("setting", [name for name, described in comparisons.SETTINGS.items() if described.grid])
def test_the_learning_rates_are_those_of_the_best_worst_task_on_other_puzzles(setting):
    described = comparisons.SETTINGS[setting]
    table = list(equal_rollouts.rate_rows(setting))
    assert "\n".join(table) in (comparisons.MINI / "PROTOCOL.md").read_text(encoding="utf-8")
    rows = {row.strip("| ").split(",")[0]: row for row in table[2:]}
    assert rows.keys() == described.grid.keys() and len(rows) == len(table) - 2
    for method, row in rows.items():
        worst_of = dict(zip(comparisons.RATES, map(float, row.strip("| ").split(" | ")[1:]), strict=True))
        assert described.rates.get(method, comparisons.LEARNING_RATE) == max(worst_of, key=worst_of.__getitem__)


def test_a_label_says_method_batch_and_learning_rate():
    setting = comparisons.SETTINGS["equal"]
    for method, rate, label in (("mt_grpo_0.1", 3e-4, "mt_grpo_0.1_b6"), ("grpo", 1e-4, "grpo_b6_lr0.0001")):
        assert setting.training(method, 6, 0, rate).label == label
        assert comparisons.read_label(label) == (method, 6, rate)


def test_one_value_has_no_interval():
    assert budgets.cell([12.34], "+") == "+12.3"
    assert budgets.cell([1.0, 2.0, 3.0]) == "2.0 ± 2.5"


def test_differences_are_taken_seed_by_seed(tmp_path):
    """In seed 1 the worst task is 10 points apart at each budget, in seed 2, which grpo has twice as good, 20."""
    for method, seed, worst in (("grpo", 1, 0.1), ("grpo", 2, 0.2), ("gdro", 1, 0.2), ("gdro", 2, 0.4), ("dump", 2, 0)):
        folder = tmp_path / f"{method}-{seed}"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"method": f"{method}_b6", "seed": seed}))
        log = [step_log(step, 2400 * step, (1, 0), (1, 0), (1, 0), (0, 0), worst) for step in (0, 1)]
        (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in log))
    runs = against_verl.runs_by_method(tmp_path)
    rows = list(equal_rollouts.difference_rows(runs, "gdro"))
    assert rows[0].startswith("| gdro minus, pairs | points of | mean | 960 |")
    interval = budgets.half_width([10, 20])
    assert rows[2] == f"| grpo, 2 | worst task |{f' +15.0 ± {interval:.1f} |' * 5}"
    assert rows[3] == f"| dump, 1 | worst task |{' +40.0 |' * 5}"
    assert len(rows) == 6
    # Runs in place of those that were replaced, 10 and 20 %: these are compared with them, too.
    assert list(equal_rollouts.difference_rows(runs, "gdro", runs["grpo_b6"]))[2:5] == [
        f"| grpo, 2 | worst task |{' +0.0 ± 0.0 |' * 5}",
        f"| dump, 1 | worst task |{' +20.0 |' * 5}",
        f"| gdro, 2 | worst task |{f' -15.0 ± {interval:.1f} |' * 5}",
    ]


def test_later_seeds_are_those_that_were_added():
    for setting, described in comparisons.SETTINGS.items():
        seeds = {run.seed for own in equal_rollouts.later_runs(setting).values() for run in own}
        assert seeds == set(described.seeds) - set(described.first_seeds)
