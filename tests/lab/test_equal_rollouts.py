"""The tables of the comparison at equal rollouts: by hand, and as the committed logs give them."""

import json
import math
from collections import Counter
from pathlib import Path

import compare
import equal_rollouts
import pyarrow.parquet as pq
import pytest

from mt_grpo_recipe.report.read.log import read_run

LAB = Path(compare.__file__).parent


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
    assert equal_rollouts.at_groups(run, equal_rollouts.worst_accuracy, 500) == pytest.approx(20)
    assert equal_rollouts.at_groups(run, equal_rollouts.mean_accuracy, 1750) == pytest.approx(55)
    with pytest.raises(ValueError, match="2500 groups, fewer than 2600"):
        equal_rollouts.at_groups(run, equal_rollouts.worst_accuracy, 2600)


def test_groups_to_a_level(run):
    assert equal_rollouts.groups_to(run, 40) == pytest.approx(1500)
    assert equal_rollouts.groups_to(run, 59.9) == math.inf, "reached after the last budget"
    assert equal_rollouts.groups_to(run, 70) == math.inf


def test_shares_and_what_was_trained_on(run):
    """Trained 900 of a and 500 of b; due are 100 + 225 + 450 of a. Generated with a gradient: 1,050 and 500."""
    assert equal_rollouts.share_error(run) == pytest.approx(100 * 125 / 1400)
    assert equal_rollouts.trained_over_informative(run) == pytest.approx(100 * 1400 / 1550)


def test_groups_without_a_gradient_do_not_count_as_trained_on(run):
    generated, trained, _ = equal_rollouts.gradient_counts(run)
    assert (trained <= generated).all()


def test_filtered_groups_are_lost_even_if_they_have_a_gradient(tmp_path):
    line = step_log(1, 400, (0.5, 0.5), (100, 100), (200, 200), (50, 150))
    line["data"] |= {"mt_grpo/filtered_rate/a": 0.5, "mt_grpo/filtered_rate/b": 0.0}
    (tmp_path / "run.json").write_text(json.dumps({"method": "dapo_b6", "seed": 0}))
    (tmp_path / "metrics.jsonl").write_text(f"{json.dumps(line)}\n")
    generated, trained, _ = equal_rollouts.gradient_counts(read_run(tmp_path))
    assert generated.tolist() == [[100, 50]] and trained.tolist() == [[100, 50]]


def test_the_interval_of_a_mean():
    assert equal_rollouts.half_width([1.0, 2.0, 3.0]) == pytest.approx(4.303 / math.sqrt(3))


def test_every_run_is_trained_once_and_on_puzzles_of_its_stage():
    for stage in compare.STAGES.values():
        runs = list(stage.runs())
        assert len({run.folder for run in runs}) == len(runs)
    for setting in ("", "-unequal"):
        choose, report = compare.STAGES[f"choose{setting}"], compare.STAGES[f"report{setting}"]
        assert choose.puzzles != report.puzzles and choose.data != report.data
        assert not set(choose.seeds) & set(report.seeds)


def test_unequal_files_keep_the_first_puzzles_of_each_task(data, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "DATA", data)
    rows = {"countdown-mini": 7, "arc-mini": 2, "zebra-mini": 20}
    compare.prepare(tmp_path / "unequal", puzzles=0, rows=rows)
    kept = pq.read_table(tmp_path / "unequal" / "train.parquet").to_pylist()
    whole = pq.read_table(data / "train.parquet").to_pylist()
    of_task = {task: [row for row in whole if row["extra_info"]["task"] == task] for task in rows}
    assert Counter(row["extra_info"]["task"] for row in kept) == rows
    assert all(row in of_task[row["extra_info"]["task"]][: rows[row["extra_info"]["task"]]] for row in kept)
    assert pq.read_table(tmp_path / "unequal" / "test.parquet").equals(pq.read_table(data / "test.parquet"))


def test_the_tables_are_computed_from_the_logs():
    readme = (LAB / "README.md").read_text(encoding="utf-8")
    tables = equal_rollouts.tables(LAB / "compared" / "choose", LAB / "compared" / "report").split("\n\n")
    assert len(tables) == 4
    for table in tables:
        assert table in readme


def test_the_batches_on_unequal_files_are_those_of_the_best_worst_task():
    table = list(equal_rollouts.choice_rows(equal_rollouts.runs_by_method(LAB / "compared" / "choose-unequal")))
    assert "\n".join(table) in (LAB.parent / "mini" / "PROTOCOL.md").read_text(encoding="utf-8")
    for row in table[2:]:
        method, at_6, at_12 = (cell.strip() for cell in row.strip("|").split("|"))
        assert compare.CHOSEN_UNEQUAL[method] == (6 if float(at_6) > float(at_12) else 12)


def test_every_reported_run_has_the_batch_of_its_method():
    runs = equal_rollouts.by_method(equal_rollouts.runs_by_method(LAB / "compared" / "report"))
    assert {method: list(batches) for method, batches in runs.items()} == {
        method: [batch] for method, batch in compare.CHOSEN.items()
    }


def test_one_value_has_no_interval():
    assert equal_rollouts.cell([12.34], "+") == "+12.3"
    assert equal_rollouts.cell([1.0, 2.0, 3.0]) == "2.0 ± 2.5"
