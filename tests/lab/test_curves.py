"""The pictures of the comparison: what a run has spent, by hand, and that each setting has its panel."""

import json

import budgets
import comparisons
import curves
import pytest

from mt_grpo_recipe.report.read.log import read_run


@pytest.fixture
def run(tmp_path):
    accuracy = {"val-core/mt_grpo/worst_task_acc": 0.1, "val-core/mt_grpo/avg_acc": 0.2}
    spent = [(800, 5000, 1.5), (1600, 9000, 2.0), (2400, 16000, 0.5)]
    lines = [{"step": 0, "data": accuracy}]
    for step, (rollouts, tokens, seconds) in enumerate(spent, 1):
        data = {"mt_grpo/total_rollouts": rollouts, "mt_grpo/total_tokens": tokens, "timing_s/step": seconds}
        lines.append({"step": step, "data": data | (accuracy if step != 1 else {})})
    (tmp_path / "run.json").write_text(json.dumps({"method": "grpo_b6", "seed": 0}))
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return read_run(tmp_path)


def test_what_a_run_has_spent_at_each_validation(run):
    assert {name: cost(run).tolist() for name, cost in curves.COSTS.items()} == {
        "rollouts, thousands": [0, 1.6, 2.4],
        "tokens generated, thousands": [0, 9, 16],
        "processor time, seconds": [0, 3.5, 4.0],
        "steps": [0, 2, 3],
    }


@pytest.mark.slow
def test_each_setting_has_a_panel_with_its_methods():
    figure = curves.panels(list(curves.TITLES), ["rollouts, thousands"], ["worst task"])
    assert [axes.get_title() for axes in figure.axes] == list(curves.TITLES.values())
    assert all(len(axes.get_lines()) >= 6 for axes in figure.axes)
    assert "mt_grpo_lean" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("setting", curves.TITLES)
def test_times_that_are_drawn_are_of_one_kind_of_processor(setting):
    """A method's runs do about the same work, but on another processor they took up to twice as long."""
    timed = comparisons.SETTINGS[setting].timed_seeds
    for own in budgets.runs_of("report", setting).values():
        seconds = [curves.COSTS[curves.PROCESSOR_TIME](run)[-1] for run in own if run.seed in timed]
        assert len(seconds) >= 4 and 0 < max(seconds) < 1.7 * min(seconds)
