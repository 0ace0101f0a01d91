"""Summaries against numbers worked out by hand or computed separately."""

import json
import math
import statistics

import numpy as np
import pytest
from synthetic import synthetic_lines, write_log, write_run

from mt_grpo_recipe.report.measure.accuracy import relative_change, worst_accuracy
from mt_grpo_recipe.report.measure.comparison import compare
from mt_grpo_recipe.report.measure.cost import default_thresholds, prompts_spent, reached, seconds_spent
from mt_grpo_recipe.report.measure.shares import share_deviation
from mt_grpo_recipe.report.measure.stats import Stat, mean_curve, running_mean
from mt_grpo_recipe.report.read.log import RunLogError, Series, read_run
from mt_grpo_recipe.report.show.accuracy_tables import (
    budget_table,
    summary_table,
    task_change_table,
    task_table,
    threshold_table,
)
from mt_grpo_recipe.report.show.sampling_tables import cost_table, sampling_table
from mt_grpo_recipe.report.show.style import METHOD_MARKS, method_marks


def step(number, accuracy=None, generated=None, seconds=2.0, **shares):
    data = {"timing_s/step": seconds}
    for task, count in (generated or {"a": 3, "b": 5}).items():
        data[f"mt_grpo/generated/{task}"] = count
    for task, (target, batch) in shares.items():
        data |= {f"mt_grpo/target_share/{task}": target, f"mt_grpo/batch_share/{task}": batch}
    for task, value in (accuracy or {}).items():
        data[f"val-core/mt_grpo/acc/{task}"] = value
    return {"step": number, "data": data}


def run_of(directory, lines, method="mt_grpo", seed=0, label=None):
    write_log(directory / "attempt-1.jsonl", lines)
    said = {"method": method, "seed": seed, "label": label}
    (directory / "run.json").write_text(json.dumps(said), encoding="utf-8")
    return directory


def cell(table, row, key):
    place = [column.key for column in table.columns].index(key)
    return next(cells for cells in table.rows if cells[: len(row)] == row)[place]


def test_stat_is_mean_and_sample_deviation():
    values = [0.2, 0.5, 0.35]
    stat = Stat.of([*values, None, math.nan])
    assert (stat.mean, stat.sd) == pytest.approx((statistics.mean(values), statistics.stdev(values)))
    assert (stat.n, stat.total) == (3, 5)
    assert math.isnan(Stat.of([0.4]).sd)
    assert Stat.of([]).n == 0


def test_a_mean_curve_ends_with_the_shortest_run():
    one = Series(np.array([0, 2, 4]), np.array([0.0, 1.0, 2.0]))
    two = Series(np.array([0, 1, 2]), np.array([1.0, 5.0, 2.0]))
    nothing = Series(np.array([], dtype=np.int64), np.array([]))
    curve = mean_curve([one, two, nothing])
    assert curve.steps.tolist() == [0, 2]
    assert curve.mean.tolist() == [0.5, 1.5]
    assert curve.sd == pytest.approx([math.sqrt(0.5)] * 2)
    assert mean_curve([nothing]).steps.tolist() == []


def test_running_mean_looks_back_only():
    values = np.random.default_rng(0).normal(size=40)
    expected = [values[max(0, i - 6) : i + 1].mean() for i in range(40)]
    assert running_mean(values, 7) == pytest.approx(expected)


def test_cost_is_summed_and_a_lost_step_counts_as_an_average_one(tmp_path):
    lines = [step(1, seconds=1.0), step(2, seconds=3.0, generated={"a": 1, "b": 1}), step(4, seconds=8.0)]
    run = read_run(write_log(tmp_path / "m.jsonl", lines))
    assert seconds_spent(run).steps.tolist() == [0, 1, 2, 3, 4]
    assert seconds_spent(run).values.tolist() == [0.0, 1.0, 4.0, 8.0, 16.0]
    assert prompts_spent(run).values.tolist() == [0.0, 8.0, 10.0, 16.0, 24.0]


def test_reached_counts_steps_seconds_and_prompts(tmp_path):
    accuracies = {2: {"a": 0.35, "b": 0.1}, 4: {"a": 0.3, "b": 0.31}, 6: {"a": 0.6, "b": 0.55}}
    lines = [step(i, accuracies.get(i)) for i in range(1, 7)]
    run = read_run(write_log(tmp_path / "m.jsonl", lines))
    found = reached(run, 0.3)
    assert found is not None
    assert (found.step, found.seconds, found.prompts) == (4, 8.0, 32.0)
    assert reached(run, 0.7) is None
    assert default_thresholds([run]) == (0.3, 0.4, 0.5)


def test_thresholds_take_finer_levels_where_the_climb_is_small(tmp_path):
    lines = [step(0, {"a": 0.02}), step(1, {"a": 0.09})]
    assert default_thresholds([read_run(write_log(tmp_path / "m.jsonl", lines))]) == (0.04, 0.06, 0.08)
    flat = [step(0, {"a": 0.2}), step(1, {"a": 0.2})]
    assert default_thresholds([read_run(write_log(tmp_path / "flat.jsonl", flat))]) == ()


@pytest.fixture
def two_methods(tmp_path):
    """Two seeds of mt_grpo and one run of dapo, three validations each; worked out by hand below."""
    finals = {"m0": [(0.1, 0.1), (0.6, 0.2), (0.5, 0.4)], "m1": [(0.1, 0.1), (0.5, 0.3), (0.7, 0.2)]}
    for seed, (name, accuracies) in enumerate(finals.items()):
        lines = [step(i, {"a": a, "b": b}) for i, (a, b) in enumerate(accuracies)]
        run_of(tmp_path / name, lines, seed=seed)
    dapo = [(0.1, 0.1), (0.4, 0.2), (0.5, 0.25)]
    run_of(tmp_path / "d", [step(i, {"a": a, "b": b}, seconds=4.0) for i, (a, b) in enumerate(dapo)], method="dapo")
    return tmp_path


def test_summary_of_two_methods_by_hand(two_methods):
    comparison = compare([two_methods])
    assert [group.name for group in comparison.groups] == ["dapo", "mt_grpo"]
    assert comparison.baseline is comparison.groups[0]
    table = summary_table(comparison)

    def stat(key, method="mt_grpo"):
        return cell(table, (method,), key)

    assert (stat("worst_final").mean, stat("worst_final").sd) == pytest.approx((0.3, math.sqrt(0.02)))
    assert stat("worst_best").mean == pytest.approx((0.4 + 0.3) / 2)
    assert stat("worst_best_step").mean == pytest.approx(1.5)
    assert stat("average_final").mean == pytest.approx(0.45)
    assert stat("worst_task") == "b"
    # Seed 0: a +0 %, b +60 %: 30. Seed 1: a +40 %, b -20 %: 10.
    assert (stat("relative_change").mean, stat("relative_change").sd) == pytest.approx((20, math.sqrt(200)))
    assert stat("relative_change", "dapo").mean == 0
    assert cell(task_table(comparison), ("mt_grpo",), "a").mean == pytest.approx(0.6)
    assert cell(task_change_table(comparison), ("mt_grpo",), "b").mean == pytest.approx(20)


def test_thresholds_of_two_methods_by_hand(two_methods):
    table = threshold_table(compare([two_methods], thresholds=[0.3, 0.2, 0.9]))
    assert [column.key for column in table.columns][1:3] == ["steps_to_20", "seconds_to_20"]
    assert cell(table, ("mt_grpo",), "steps_to_20").mean == 1
    # Seed 0 gets to 0.3 at step 2, seed 1 at step 1; two seconds and eight prompts per step.
    assert cell(table, ("mt_grpo",), "steps_to_30").mean == 1.5
    assert cell(table, ("mt_grpo",), "seconds_to_30").mean == 3
    assert cell(table, ("mt_grpo",), "prompts_to_30").mean == 12
    assert cell(table, ("dapo",), "steps_to_30").n == 0
    assert cell(table, ("mt_grpo",), "steps_to_90").n == 0


def test_equal_budgets_by_hand(two_methods):
    table = budget_table(compare([two_methods]))
    # The cheapest run took 2 x 2 s; dapo was at its first validation by then. Prompts are alike.
    assert cell(table, ("dapo",), "worst_at_time").mean == pytest.approx(0.2)
    assert cell(table, ("dapo",), "worst_at_prompts").mean == pytest.approx(0.25)
    assert cell(table, ("mt_grpo",), "average_at_time").mean == pytest.approx(0.45)


def test_baselines_can_be_named_in_every_way(two_methods, monkeypatch):
    for wanted in ("mt_grpo", str(two_methods / "m1")):
        comparison = compare([two_methods], baseline=wanted)
        assert comparison.baseline is not None and comparison.baseline.name == "mt_grpo"
        # The baseline is the mean of both seeds: a 0.6, b 0.3.
        assert comparison.baseline_accuracies == pytest.approx({"a": 0.6, "b": 0.3})
    monkeypatch.chdir(two_methods)
    comparison = compare(["m0", "m1"], baseline="d")
    assert [group.name for group in comparison.groups] == ["dapo", "mt_grpo"]
    with pytest.raises(RunLogError, match="--baseline 'sec_grpo' fits no run: use one of 'dapo', 'mt_grpo'"):
        compare([two_methods], baseline="sec_grpo")
    assert compare(["m0"]).baseline is None


def test_a_baseline_at_zero_leaves_the_change_open(tmp_path):
    run_of(tmp_path / "d", [step(1, {"a": 0.0, "b": 0.5})], method="dapo")
    run_of(tmp_path / "m", [step(1, {"a": 0.4, "b": 0.5})])
    table = summary_table(compare([tmp_path]))
    assert cell(table, ("mt_grpo",), "relative_change").n == 0
    assert any("dapo ends at 0 on a" in remark for remark in table.remarks)


def test_missing_tasks_are_named_and_the_change_is_over_those_shared(tmp_path):
    run_of(tmp_path / "d", [step(1, {"a": 0.4, "b": 0.5})], method="dapo")
    run_of(tmp_path / "m", [step(1, {"a": 0.6}, generated={"a": 3})])
    comparison = compare([tmp_path])
    assert relative_change(comparison.groups[1].runs[0], comparison.baseline_accuracies) == pytest.approx(50)
    assert any(note.startswith("mt_grpo, seed 0 has no task b") for note in comparison.notes)
    assert cell(task_table(comparison), ("mt_grpo",), "b").n == 0
    assert [row[:2] for row in sampling_table(comparison).rows] == [("dapo", "a"), ("dapo", "b"), ("mt_grpo", "a")]


def test_held_out_tasks_do_not_count_for_worst_or_average(tmp_path):
    run_of(tmp_path / "m", [step(1, {"a": 0.6, "b": 0.4, "other": 0.1})])
    comparison = compare([tmp_path])
    assert comparison.held_out == ("other",)
    assert worst_accuracy(comparison.runs[0]).last == 0.4
    assert cell(summary_table(comparison), ("mt_grpo",), "worst_task") == "b"
    assert cell(task_table(comparison), ("mt_grpo",), "other").mean == 0.1


def test_shares_and_gaps_by_hand(tmp_path):
    lines = [
        step(1, a=(0.5, 0.5), b=(0.5, 0.5)),
        step(2, a=(0.6, 0.3), b=(0.4, 0.7)),
        step(3, a=(0.6, 0.5), b=(0.4, 0.5)),
    ]
    comparison = compare([run_of(tmp_path / "m", lines)], last=2)
    assert share_deviation(comparison.runs[0], "a").values == pytest.approx([0, 0.3, 0.1])
    row = ("mt_grpo", "a")
    table = sampling_table(comparison)
    assert cell(table, row, "target_share").mean == pytest.approx(0.6)
    assert cell(table, row, "batch_share").mean == pytest.approx(0.4)
    assert cell(table, row, "mean_deviation").mean == pytest.approx(0.4 / 3)
    assert cell(table, row, "largest_deviation").mean == pytest.approx(0.3)
    # Weights were not logged: no column of dashes.
    assert "weight" not in [column.key for column in table.columns]


def test_synthetic_runs_against_a_computation_of_their_own(tmp_path):
    runs = {seed: synthetic_lines(seed=seed, steps=40) for seed in range(3)}
    for seed in runs:
        write_run(tmp_path / str(seed), seed=seed, steps=40)
    comparison = compare([tmp_path], last=5)

    def over_seeds(values):
        return pytest.approx((statistics.mean(values), statistics.stdev(values)))

    finals = [lines[-1]["data"]["val-core/mt_grpo/worst_task_acc"] for lines in runs.values()]
    found = cell(summary_table(comparison), ("mt_grpo",), "worst_final")
    assert (found.mean, found.sd) == over_seeds(finals)
    for name in ("weight", "target_share", "batch_share", "zero_grad_rate", "generated", "shortfall"):
        late = [
            statistics.mean(line["data"][f"mt_grpo/{name}/zebra"] for line in lines[-5:]) for lines in runs.values()
        ]
        found = cell(sampling_table(comparison), ("mt_grpo", "zebra"), name)
        assert (found.mean, found.sd) == over_seeds(late)
    totals = [sum(line["data"].get("timing_s/step", 0) for line in lines) for lines in runs.values()]
    found = cell(cost_table(comparison), ("mt_grpo",), "total_seconds")
    assert (found.mean, found.sd) == over_seeds(totals)
    rounds = [statistics.mean(line["data"]["mt_grpo/rounds"] for line in lines[1:]) for lines in runs.values()]
    found = cell(cost_table(comparison), ("mt_grpo",), "rounds")
    assert (found.mean, found.sd) == over_seeds(rounds)


def test_seeds_are_grouped_labels_kept_apart_and_colours_kept(tmp_path):
    for seed in (2, 0, 1):
        run_of(tmp_path / f"m{seed}", [step(1, {"a": 0.5})], seed=seed)
    run_of(tmp_path / "wide", [step(1, {"a": 0.5})], label="MT-GRPO, wide")
    run_of(tmp_path / "mine", [step(1, {"a": 0.5})], method="mine")
    run_of(tmp_path / "d", [step(1, {"a": 0.5})], method="dapo")
    comparison = compare([tmp_path])
    assert [group.name for group in comparison.groups] == ["dapo", "mt_grpo", "MT-GRPO, wide", "mine"]
    assert [run.seed for run in comparison.groups[1].runs] == [0, 1, 2]
    marks = method_marks(comparison.groups)
    assert marks["mt_grpo"] == METHOD_MARKS["mt_grpo"]
    assert marks["dapo"] == METHOD_MARKS["dapo"]
    colors = [mark.color for mark in marks.values()]
    assert len(set(colors)) == len(colors)


def test_runs_hard_to_compare_are_named(tmp_path):
    for name in ("x", "y"):
        run_of(tmp_path / name, [step(1, {"a": 0.5}), step(2, {"a": 0.5})], seed=1)
    run_of(tmp_path / "short", [step(1, {"a": 0.5})], method="dapo", seed=None)
    write_log(tmp_path / "broken" / "a.jsonl", [], "junk")
    notes = compare([tmp_path, tmp_path / "x"]).notes
    assert "mt_grpo: 2 runs of seed 1 are counted apart" in notes
    assert "dapo: its last validation is at step 1, the longest run's at 2" in notes
    assert any(note.startswith("left out:") and "broken" in note for note in notes)


def test_only_a_path_that_is_not_there_is_an_error(tmp_path):
    run_of(tmp_path / "m", [step(1)])
    with pytest.raises(RunLogError, match="no run at"):
        compare([tmp_path / "m", tmp_path / "typo"])
    # What a run keeps in its folder is not a run.
    write_log(tmp_path / "m" / "rollouts" / "1.jsonl", [{"input": "x"}])
    assert len(compare([tmp_path]).runs) == 1
    (tmp_path / "bare").mkdir()
    with pytest.raises(RunLogError, match="holds no"):
        compare([tmp_path / "bare"])
