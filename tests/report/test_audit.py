"""The audit of the mix: rows by hand, alarms in words, and a run in which tasks starve for every reason."""

import math
import re
from pathlib import Path

import pytest
from audited import TASKS, write_audited
from synthetic import write_log, write_run

from mt_grpo_recipe.cli import main
from mt_grpo_recipe.report.measure.audit import audit
from mt_grpo_recipe.report.measure.comparison import compare
from mt_grpo_recipe.report.measure.starvation import starvations
from mt_grpo_recipe.report.read.log import read_run
from mt_grpo_recipe.report.show.audit_tables import audit_table, late_audit_table

WHOLE = {
    "target_share": 0.5,
    "batch_share": 0.5,
    "generated": 10,
    "informative": 6,
    "all_right": 1,
    "all_wrong": 2,
    "all_alike": 0,
    "failed": 1,
    "with_gradient": 4,
    "trained": 4,
    "discarded": 2,
    "trained_tokens": 300,
    "advantage_mass": 30.0,
}
STARVED = {"batch_share": 0.0, "with_gradient": 0, "trained": 0, "trained_tokens": 0, "advantage_mass": 0.0}


def run_of(folder, *steps):
    """A run of these steps, from 1 on: each maps a task to what differs from `WHOLE`."""
    lines = [
        {
            "step": number,
            "data": {
                f"mt_grpo/{key}/{task}": value
                for task, other in step.items()
                for key, value in {**WHOLE, **other}.items()
                if value is not None
            },
        }
        for number, step in enumerate(steps, start=1)
    ]
    write_log(folder / "metrics.jsonl", lines)
    return read_run(folder)


def test_a_row_counts_what_its_steps_logged(tmp_path):
    other = {"trained_tokens": 100, "advantage_mass": 90.0, "target_share": 0.25, "generated": 12}
    run = run_of(tmp_path, {"a": {}, "b": other}, {"a": {"target_share": 0.7}, "b": other}, {"a": {}, "b": STARVED})
    a, b = audit(run)
    assert (a.asked, a.generated, a.informative, a.trained, a.tokens) == (pytest.approx(1.7 / 3), 30, 18, 12, 900)
    assert a.token_share == pytest.approx(900 / 1100) and a.gradient_share == pytest.approx(90 / 270)
    assert b.gradient_share == pytest.approx(180 / 270)
    assert a.fates == {
        "trained on": 12,
        "informative, not trained on": 6,
        "all right": 3,
        "all wrong": 6,
        "all alike": 0,
        "failed": 3,
        "not ended": 0,
    }
    assert b.fates["not ended"] == 2 + 2 + 4
    a, b = audit(run, last=1)
    assert (a.generated, a.gradient_share, b.gradient_share, b.token_share) == (10, 1, 0, 0)


def test_what_a_log_does_not_have_is_not_known(tmp_path):
    for task in audit(read_run(write_run(tmp_path / "run", steps=5))):
        assert task.generated > 0 and not task.fates
        assert math.isnan(task.tokens) and math.isnan(task.gradient_share) and math.isnan(task.token_share)


def test_a_skipped_step_brings_no_gradient(tmp_path):
    skipped = {**STARVED, "advantage_mass": None}
    (a,) = audit(run_of(tmp_path, {"a": {}}, {"a": skipped}))
    assert a.gradient_share == 1 and a.generated == 20


REASONS = {
    "all right": ({"all_right": 8, "all_wrong": 1}, "24 all right, 3 all wrong, 3 failed; it is solved"),
    "all wrong": ({"all_right": 0, "all_wrong": 9}, "27 all wrong, 3 failed; it is out of reach"),
    "failed": ({"all_right": 0, "all_wrong": 0, "failed": 10}, "30 failed; the log of the rollout workers"),
    "alike": ({"all_right": 0, "all_wrong": 0, "all_alike": 9}, "27 all alike, 3 failed; its rewards do not tell"),
    "full": (
        {"all_right": 0, "all_wrong": 0, "failed": 0, "discarded": 10},
        "30 informative, not trained on; the batch",
    ),
    "too slow": ({"all_right": 0, "all_wrong": 3, "failed": 0}, "21 not ended, 9 all wrong; they were too slow"),
    "none": ({"all_right": 0, "all_wrong": 0, "failed": 0, "generated": 0}, "No group of it was generated"),
    "unknown": ({"all_right": None}, "The log does not say what came of its groups."),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_starved_task_is_named_with_the_reason(tmp_path, reason):
    fates, words = REASONS[reason]
    starved = {"t": {**STARVED, "discarded": 0, "informative": 0, **fates}}
    fed = {"t": {"all_right": fates.get("all_right", 1)}}
    run = run_of(tmp_path, fed, starved, starved, starved)
    (stretch,) = starvations(run, patience=3)
    assert (stretch.task, stretch.first, stretch.last, stretch.asked, stretch.lasts) == ("t", 2, 4, 3, True)
    begin = "t is starved: 3 steps from step 2 on asked for it and none trained on a group of it with a gradient"
    assert stretch.sentence().startswith(begin) and words in stretch.sentence()
    assert not starvations(run, patience=4)


def test_steps_that_do_not_ask_neither_count_nor_end_a_stretch(tmp_path):
    starved, unasked = {"t": STARVED}, {"t": {**STARVED, "target_share": 0.0}}
    run = run_of(tmp_path, starved, unasked, starved, unasked, {"t": {}}, starved, {"t": {}})
    (stretch,) = starvations(run, patience=2)
    assert (stretch.first, stretch.last, stretch.asked, stretch.lasts) == (1, 3, 2, False)
    assert stretch.sentence().startswith("t was starved: 2 of the steps 1 to 3 asked for it and none")
    # Groups of the steps between that did not ask are counted too.
    assert stretch.fates["failed"] == 3


def test_a_stretch_that_lasts_is_named_before_a_longer_one(tmp_path):
    starved = {"t": STARVED}
    run = run_of(tmp_path, starved, starved, starved, {"t": {}}, starved, starved)
    assert [stretch.first for stretch in starvations(run, patience=1)] == [5]
    assert [stretch.first for stretch in starvations(run, patience=3)] == [1]


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A run with a task that learns, and tasks that are solved, hopeless and broken; and its report."""
    folder = tmp_path_factory.mktemp("audited")
    run = write_audited(folder / "run")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run), "-o", str(folder / "report")])
    assert ended.value.code == 0
    return run, folder / "report"


def test_the_report_says_which_tasks_starve_and_why(reported, capsys):
    run, report = reported
    alarms = compare([run]).alarms
    assert [re.search(r": (\w+) is starved", alarm).group(1) for alarm in alarms] == ["solved", "hopeless", "broken"]
    assert re.search(
        r"solved is starved: 21 steps from step 10 on asked for it.* \d+ all right; it is solved", alarms[0]
    )
    assert re.search(
        r"hopeless is starved: 30 steps from step 1 on asked for it.* \d+ all wrong; it is out of", alarms[1]
    )
    assert re.search(r"broken is starved: 30 steps from step 1 on asked for it.* \d+ failed; the log of", alarms[2])
    page, markdown = ((report / name).read_text() for name in ("report.html", "report.md"))
    assert all(f"<li>{alarm}</li>" in page and f"- {alarm}" in markdown for alarm in alarms)
    assert "Starved tasks" in page and "Where the rollouts went, last 10 steps" in page
    with pytest.raises(SystemExit):
        main(["show", str(run), "-o", str(report / "run.png")])
    shown = capsys.readouterr().out
    assert all(f"alarm: {alarm.partition(': ')[2]}" in shown for alarm in alarms)


def test_the_tables_and_the_picture_are_written(reported):
    run, report = reported
    assert (report / "figures" / "audit.png").stat().st_size > 10_000
    comparison = compare([run])
    whole, late = audit_table(comparison), late_audit_table(comparison)
    assert [row[1] for row in whole.rows] == [row[1] for row in late.rows] == list(TASKS)
    gradient = [column.key for column in whole.columns].index("gradient_share")
    assert sum(row[gradient].mean for row in whole.rows) == pytest.approx(1)
    # In the last ten steps a single task gives all of the gradient.
    assert [row[gradient].mean for row in late.rows] == [1, 0, 0, 0]
    assert (report / "tables" / "audit-late.csv").exists()


def test_a_log_that_does_not_say_it_has_neither_picture_nor_tables(tmp_path):
    comparison = compare([write_run(tmp_path / "run", steps=5)])
    assert not audit_table(comparison).rows and not late_audit_table(comparison).rows
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path / "run"), "-o", str(tmp_path / "report")])
    assert not Path(tmp_path / "report" / "figures" / "audit.png").exists()
