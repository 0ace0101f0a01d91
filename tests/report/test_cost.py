"""What runs cost in rollouts and tokens, against numbers worked out by hand."""

import json
import math
import re

import pytest
from synthetic import write_log

from mt_grpo_recipe.cli import main
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


# ---------------------------------------------------------------------- steps that no log has

LOST = [step(i, 0.1, {"a": (ended, 2), "b": (4, 0)}) for i, ended in ((1, 4), (2, 8), (3, 12), (4, 4))]
"""8, 12, 16 and 8 groups: 32, 48, 64 and 32 rollouts, 176 in all."""


def lost(directory, with_totals, gone=(2, 3)):
    rollouts = tokens = 0
    lines = []
    for line in LOST:
        data = line["data"]
        rollouts += sum(value for name, value in data.items() if name.startswith("mt_grpo/generated_rollouts/"))
        tokens += sum(value for name, value in data.items() if name.startswith("mt_grpo/generated_tokens/"))
        totals = {"mt_grpo/total_rollouts": rollouts, "mt_grpo/total_tokens": tokens} if with_totals else {}
        lines.append({**line, "data": data | totals | {"mt_grpo/weight/a": 0.5, "mt_grpo/weight/b": 0.5}})
    return run_of(directory, [line for line in lines if line["step"] not in gone])


def printed(capsys, *command):
    with pytest.raises(SystemExit) as ended:
        main([*map(str, command)])
    assert ended.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_runs_own_totals_stand_above_what_a_log_has_lost(tmp_path, capsys):
    directory = lost(tmp_path / "m", with_totals=True)
    run = read_run(directory)
    # Between the totals of steps 1 and 4, in equal parts.
    assert rollouts_spent(run).values == pytest.approx([0, 32, 32 + 48, 32 + 96, 176])
    assert "cost: 176 rollouts with 1,040 response tokens generated in all; 25.0 % of the rollouts" in printed(
        capsys, "show", directory
    )
    found = cells(use_table(compare([directory])), "mt_grpo")
    assert (found["generated_rollouts"].mean, found["generated_tokens"].mean) == (176, 1040)
    # The steps that are logged tell which share was trained on.
    assert found["trained_rollouts_share"].mean == pytest.approx(16 / 64)
    shown = printed(capsys, "watch", directory, "--once")
    assert "in all 176 about 32" in shown
    assert "2 steps are not logged and count as average ones; generated in all is what the run itself counted." in shown
    # A task's part of it is its part of what is logged.
    assert re.search(r" a 50\.0 \S+ - - - - 88 32 b 50\.0 \S+ - - - - 88 0 ", shown)


def test_without_totals_the_numbers_are_said_to_be_about_right(tmp_path, capsys):
    directory = lost(tmp_path / "m", with_totals=False)
    said = "2 steps are not logged and count as average ones"
    assert f"cost: about 128 rollouts with about 800 response tokens generated in all ({said}); 25.0 %" in printed(
        capsys, "show", directory
    )
    shown = printed(capsys, "watch", directory, "--once")
    assert "in all about 128 about 32" in shown and f"{said}." in shown
    lines = [line | {"data": line["data"] | {"mt_grpo/total_rollouts": 200}} for line in (LOST[0], LOST[3])]
    text = printed(capsys, "show", run_of(tmp_path / "rollouts", lines))
    assert f"cost: 200 rollouts with about 800 response tokens generated in all ({said});" in text
    one = lost(tmp_path / "one", with_totals=False, gone=(2,))
    assert "1 step is not logged and counts as an average one" in printed(capsys, "show", one)


def test_a_whole_log_is_exact_with_totals_and_without(tmp_path, capsys):
    for with_totals in (True, False):
        directory = lost(tmp_path / str(with_totals), with_totals, gone=())
        assert rollouts_spent(read_run(directory)).values.tolist() == [0, 32, 80, 144, 176]
        both = printed(capsys, "show", directory) + printed(capsys, "watch", directory, "--once")
        assert "not logged" not in both and "in all 176 32" in both and "cost: 176 rollouts with 1,040 " in both


def test_a_run_that_has_trained_on_nothing_says_so(tmp_path, capsys):
    idle = [step(i, 0.1, {"a": (4, 0)}) for i in (1, 2)]
    for line in idle:
        line["data"]["mt_grpo/weight/a"] = 1.0
    assert "in all 32 0" in printed(capsys, "watch", run_of(tmp_path / "m", idle), "--once")


def test_a_log_with_totals_alone_says_what_was_generated(tmp_path, capsys):
    lines = [{"step": i, "data": {"timing_s/step": 1.0, "mt_grpo/total_rollouts": 8.0 * i}} for i in (1, 2)]
    text = printed(capsys, "show", run_of(tmp_path / "m", lines))
    assert "cost: 16 rollouts generated in all." in text and "nan" not in text
