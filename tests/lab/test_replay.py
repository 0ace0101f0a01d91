"""A run of the laboratory, replayed: under its own settings it gives its own figures."""

import json

import pytest
import train

from mt_grpo_recipe.history.reading import read_history
from mt_grpo_recipe.metrics import ADVANTAGE, ADVANTAGE_MASS, FAILING_STEPS, IMPROVEMENT, LOSS_WEIGHT, is_step_metric
from mt_grpo_recipe.simulator.replay import check_record, replay
from mt_grpo_recipe.simulator.replay_cli import settings_of

OF_THE_UPDATE = (IMPROVEMENT, ADVANTAGE, ADVANTAGE_MASS, LOSS_WEIGHT)


def trained(data, out, method, *options):
    arguments = ["--method", method, "--seed", "3", "--steps", "4", "--data", str(data), "-o", str(out), *options]
    assert train.main([*arguments, "trainer.test_freq=-1"]) == 0
    return out


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("mt_grpo", ["mt_grpo.loss_weighting=residual", "mt_grpo.sampler.max_resample_rounds=1"]),
        ("mt_grpo_stream", []),
        ("mt_grpo_lean", ["mt_grpo.loss_weighting=residual"]),
        ("dapo", []),
        ("grpo", []),
    ],
)
def test_a_replay_logs_what_the_run_logged(data, tmp_path, method, options):
    out = trained(data, tmp_path / "run", method, *options)
    run = read_history(out)
    steps = list(replay(run, settings_of(run, [])))
    check_record(run, steps)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    logged = [line["data"] for line in lines if line["step"]]
    assert len(logged) == len(steps) == 4
    unknown = tuple(metric.name for metric in OF_THE_UPDATE)
    for data_of_step, step in zip(logged, steps, strict=True):
        expected = {n: v for n, v in data_of_step.items() if is_step_metric(n) and not n.startswith(unknown)}
        assert step.metrics == expected and step.drawn == 0
        assert any(name.startswith(FAILING_STEPS.name) for name in expected)


def test_decisions_name_the_rows_of_the_data(data, tmp_path):
    out = trained(data, tmp_path / "run", "grpo")
    decisions = [json.loads(line) for line in (out / "checkpoints" / "decisions.jsonl").read_text().splitlines()]
    assert [decision["step"] for decision in decisions] == [1, 2, 3, 4]
    assert all(len(decision["rows"]) == 12 for decision in decisions)
    # Twenty rows per task: none comes twice before all were used.
    rows = [row for decision in decisions for row in decision["rows"]]
    assert len(set(rows)) == len(rows) == 48 and max(rows) < 60
