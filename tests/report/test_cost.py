"""What runs cost in rollouts and tokens, against numbers worked out by hand."""

import json
import math

import pytest
from synthetic import write_log

from mt_grpo_recipe.report.measure.comparison import compare
from mt_grpo_recipe.report.measure.cost import age_of_trained, reached, rollouts_spent, tokens_spent
from mt_grpo_recipe.report.read.log import read_run
from mt_grpo_recipe.report.show.accuracy_figures import costs_of_courses, draw_courses
from mt_grpo_recipe.report.show.accuracy_tables import budget_table, threshold_table
from mt_grpo_recipe.report.show.sampling_tables import use_table


def step(number, accuracy, groups, n=4, **totals):
    """A logged step of two tasks; `groups` gives, by task, the groups that ended and those trained on.

    A response that is not trained on has 5 tokens, any other 10. Groups that ended and are not trained on are half
    discarded and half carried.
    """
    data = {"timing_s/step": 1.0} | {f"val-core/mt_grpo/acc/{task}": accuracy for task in groups}
    for task, (ended, trained) in groups.items():
        data |= {
            f"mt_grpo/generated/{task}": ended,
            f"mt_grpo/trained/{task}": trained,
            f"mt_grpo/discarded/{task}": (ended - trained) / 2,
            f"mt_grpo/carried/{task}": (ended - trained) / 2,
            f"mt_grpo/generated_rollouts/{task}": n * ended,
            f"mt_grpo/trained_rollouts/{task}": n * trained,
            f"mt_grpo/generated_tokens/{task}": n * (10 * trained + 5 * (ended - trained)),
            f"mt_grpo/trained_tokens/{task}": n * 10 * trained,
        }
    return {"step": number, "data": data | {f"mt_grpo/{name}": value for name, value in totals.items()}}


LINES = [
    step(1, 0.1, {"a": (4, 2), "b": (4, 0)}, age=0.0, trained_over_informative=0.5),
    step(2, 0.3, {"a": (2, 2), "b": (6, 4)}, age=1.5, trained_over_informative=0.75),
]
"""8 groups in each step: 32 rollouts, with 200 and 280 tokens; of them 2 and 6 groups are trained on."""


def without_costs(lines):
    kept = ("timing_s/step", "val-core/", "mt_grpo/generated/")
    return [
        {**line, "data": {name: value for name, value in line["data"].items() if name.startswith(kept)}}
        for line in lines
    ]


def run_of(directory, lines, method="mt_grpo", seed=0):
    write_log(directory / "attempt-1.jsonl", lines)
    (directory / "run.json").write_text(json.dumps({"method": method, "seed": seed}), encoding="utf-8")
    return directory


def cells(table, method):
    (row,) = (row for row in table.rows if row[0] == method)
    return {column.key: cell for column, cell in zip(table.columns, row, strict=True)}


def test_rollouts_and_tokens_are_summed_over_tasks_and_steps(tmp_path):
    run = read_run(run_of(tmp_path / "m", LINES))
    assert rollouts_spent(run).values.tolist() == [0, 32, 64]
    assert tokens_spent(run).values.tolist() == [0, 200, 480]
    # A lost step counts as an average one.
    run = read_run(run_of(tmp_path / "lost", [LINES[0], {**LINES[1], "step": 3}]))
    assert tokens_spent(run).values.tolist() == [0, 200, 440, 720]


def test_age_is_of_the_groups_trained_on(tmp_path):
    # 2 groups of age 0 and 6 of age 1.5.
    assert age_of_trained(read_run(run_of(tmp_path / "m", LINES))) == pytest.approx(6 * 1.5 / 8)
    idle = [step(1, 0.1, {"a": (4, 0)}, age=0.0)]
    assert math.isnan(age_of_trained(read_run(run_of(tmp_path / "idle", idle))))


def test_what_was_generated_and_trained_on_by_hand(tmp_path):
    run_of(tmp_path / "m", LINES)
    # No group without training: all 32 rollouts of the one step are trained on.
    run_of(tmp_path / "g", [step(1, 0.2, {"a": (4, 4), "b": (4, 4)})], method="grpo")
    table = use_table(compare([tmp_path]))
    found = {key: cell.mean for key, cell in cells(table, "mt_grpo").items() if key != "method"}
    assert found == pytest.approx(
        {
            "generated_rollouts": 64,
            "trained_rollouts": 32,
            "trained_rollouts_share": 0.5,
            "generated_tokens": 480,
            "trained_tokens": 320,
            "trained_tokens_share": 320 / 480,
            "trained_over_informative": 0.75,
            # 6 and 2 groups are left over, half of them carried.
            "discarded": 4,
            "carried": 2,
            "age": 1.125,
        }
    )
    assert cells(table, "grpo")["trained_rollouts_share"].mean == 1
    assert cells(table, "grpo")["age"].n == 0


def test_equal_rollouts_by_hand(tmp_path):
    run_of(tmp_path / "m", LINES)
    # Groups of 2 rollouts: the same prompts, and 32 rollouts in all.
    cheap = [step(i, 0.2 * i, {"a": (4, 2), "b": (4, 0)}, n=2) for i in (1, 2)]
    run_of(tmp_path / "d", cheap, method="dapo")
    table = budget_table(compare([tmp_path]))
    assert cells(table, "mt_grpo")["worst_at_prompts"].mean == pytest.approx(0.3)
    assert cells(table, "mt_grpo")["worst_at_rollouts"].mean == pytest.approx(0.1)
    assert cells(table, "dapo")["average_at_rollouts"].mean == pytest.approx(0.4)
    remark = "Equal rollouts: 32 rollouts, which the cheapest run (dapo, seed 0) spent in all."
    assert remark in table.remarks


def test_rollouts_until_an_accuracy_is_reached(tmp_path):
    found = reached(read_run(run_of(tmp_path / "m", LINES)), 0.3)
    assert found is not None
    assert (found.step, found.prompts, found.rollouts) == (2, 16, 64)
    table = threshold_table(compare([tmp_path], thresholds=[0.1, 0.3]))
    assert cells(table, "mt_grpo")["rollouts_to_10"].mean == 32
    assert cells(table, "mt_grpo")["rollouts_to_30"].mean == 64


def test_logs_without_costs_are_compared_by_prompts(tmp_path):
    run_of(tmp_path / "m", without_costs(LINES))
    comparison = compare([tmp_path], thresholds=[0.3])
    assert [cost.key for cost in costs_of_courses(comparison)] == ["time", "prompts"]
    assert [column.key for column in use_table(comparison).columns] == ["method"]
    assert "worst_at_rollouts" not in cells(budget_table(comparison), "mt_grpo")
    assert "rollouts_to_30" not in cells(threshold_table(comparison), "mt_grpo")


def test_logs_with_and_without_costs_side_by_side(tmp_path):
    run_of(tmp_path / "m0", LINES)
    run_of(tmp_path / "m1", [step(i, 0.5, {"a": (4, 2), "b": (4, 0)}) for i in (1, 2)], seed=1)
    run_of(tmp_path / "m2", without_costs([step(i, 0.9, {"a": (4, 2), "b": (4, 0)}) for i in (1, 2)]), seed=2)
    comparison = compare([tmp_path], thresholds=[0.3])
    assert [cost.key for cost in costs_of_courses(comparison)] == ["time", "prompts", "rollouts", "tokens"]
    at_equal_rollouts = cells(budget_table(comparison), "mt_grpo")["worst_at_rollouts"]
    assert (at_equal_rollouts.mean, at_equal_rollouts.n, at_equal_rollouts.total) == (pytest.approx(0.4), 2, 3)
    # A point over rollouts is the mean of the two runs that have them, in y as in x.
    steps, _, _, rollouts, _ = draw_courses(comparison).axes[:5]
    assert steps.lines[0].get_ydata() == pytest.approx([1.5 / 3, 1.7 / 3])
    assert rollouts.lines[0].get_xdata() == pytest.approx([32, 64])
    assert rollouts.lines[0].get_ydata() == pytest.approx([0.3, 0.4])
