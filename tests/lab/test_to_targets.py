"""When a run of the laboratory is at its targets, and how far it fell below a floor."""

import json
import math
from pathlib import Path

import pytest
import to_targets

from mt_grpo_recipe.report.read.log import read_run

COUNTDOWN, ARC, ZEBRA = to_targets.TASKS


@pytest.fixture
def run_of(tmp_path):
    """Writes the log of a run: (groups so far, accuracy of Countdown, ARC, Zebra) of each validation."""

    def write(*validations, unmet=()):
        lines = []
        for step, (groups, *accuracies) in enumerate(validations):
            names = (f"val-core/mt_grpo/acc/{task}" for task in to_targets.TASKS)
            data = dict(zip(names, accuracies, strict=True))
            if step:
                data |= {"mt_grpo/total_rollouts": 8 * groups, f"mt_grpo/weight/{ARC}": 0.5}
                data |= {f"mt_grpo/unmet/{ARC}": unmet[step - 1]} if unmet else {}
            lines.append(json.dumps({"step": step, "data": data}))
        (tmp_path / "run.json").write_text(json.dumps({"method": "mt_grpo_targets_b6", "seed": 0}))
        (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
        return read_run(tmp_path)

    return write


def test_a_run_is_at_its_targets_when_all_are_reached_at_one_time_and_no_floor_is_broken(run_of):
    run = run_of(
        (0, 0.2, 0.1, 0.42),
        (120, 0.45, 0.4, 0.5),  # ARC is not there
        (240, 0.39, 0.6, 0.5),  # Countdown no longer is
        (360, 0.4, 0.5, 0.39),  # Zebra lost three points
        (480, 0.4, 0.5, 0.41),
    )
    assert to_targets.groups_to_targets(run) == 480
    assert to_targets.groups_to_targets(run_of((0, 0.2, 0.1, 0.42), (120, 0.4, 0.49, 0.5))) == math.inf


def test_targets_that_are_reached_after_the_last_group_do_not_count(run_of):
    after = to_targets.GROUPS + 120
    assert to_targets.groups_to_targets(run_of((0, 0.2, 0.1, 0.4), (after, 0.5, 0.6, 0.5))) == math.inf


def test_a_breach_is_counted_in_standard_errors_of_the_difference(run_of):
    """0.5 at the start, 0.43 in a validation: 5 points below the floor of 0.48."""
    run = run_of((0, 0.2, 0.1, 0.5), (120, 0.4, 0.5, 0.43), (240, 0.4, 0.5, 0.6))
    error = math.sqrt((0.43 * 0.57 + 0.25) / 400)
    assert to_targets.largest_breach(run) == pytest.approx(0.05 / error)
    assert to_targets.largest_breach(run_of((0, 0.2, 0.1, 0.5), (120, 0.4, 0.5, 0.6))) < 0


def test_the_rule_itself_ends_a_run_in_the_first_step_without_an_unmet_bound(run_of):
    course = ((0, 0.2, 0.1, 0.4), (120, 0.2, 0.1, 0.4), (240, 0.4, 0.5, 0.4), (360, 0.4, 0.5, 0.4))
    assert to_targets.groups_to_own_end(run_of(*course, unmet=(1, 0, 1))) == 240
    assert to_targets.groups_to_own_end(run_of(*course, unmet=(1, 1, 1))) == math.inf
    assert math.isnan(to_targets.groups_to_own_end(run_of(*course)))


def test_the_mixes_are_ten_and_fill_the_batch():
    assert len(set(to_targets.MIXES)) == 10
    assert all(sum(mix) == to_targets.BATCH and min(mix) >= 1 for mix in to_targets.MIXES)


def test_what_is_chosen_on_is_not_what_is_reported():
    assert not set(to_targets.CHOICE_SEEDS) & set(to_targets.REPORT_SEEDS)
    folders = [run.folder for run in (*to_targets.choice(), *to_targets.report())]
    assert len(set(folders)) == len(folders)


def test_the_tables_are_computed_from_the_logs():
    lab = Path(to_targets.__file__).parent
    readme = (lab / "README.md").read_text(encoding="utf-8")
    parts = to_targets.tables(lab / "compared" / "mixes", lab / "compared" / "targets").split("\n\n")
    assert len(parts) == 3
    for part in parts:
        assert part in readme
