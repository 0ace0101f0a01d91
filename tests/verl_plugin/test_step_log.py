"""What a step leaves in the logs."""

from types import SimpleNamespace

import numpy as np

from mt_grpo_recipe.algorithm.step_metrics import step_metrics
from mt_grpo_recipe.history.record import Timeline
from mt_grpo_recipe.metrics import TASK_METRICS, TOTAL_METRICS
from mt_grpo_recipe.verl_plugin.replay_buffer import StepRecord
from mt_grpo_recipe.verl_plugin.step_log import LATEST, SUMMED, add_timings, joined

SELECTION = SimpleNamespace(rounds=3, failed_K=np.array([1, 2]), quota_K=np.array([5, 3]), launch_ids=[0, 4, 2])
RECORD = StepRecord(SELECTION, decide_s=0.25, poll_s=1.5, timeline=Timeline())


def test_metrics_are_named_by_slug_with_the_counts_of_the_step():
    controller = SimpleNamespace(
        metrics=lambda: {"weight": {"a_b": 0.75, "c": 0.25}, "accuracy": {"c": 0.5}},
        totals=lambda: {"total_rollouts": 96, "trained_over_informative": 0.5},
    )
    assert step_metrics(controller, SELECTION, {"a_b": "a-b", "c": "c"}, skipped=True) == {
        "mt_grpo/weight/a-b": 0.75,
        "mt_grpo/weight/c": 0.25,
        "mt_grpo/accuracy/c": 0.5,
        "mt_grpo/total_rollouts": 96,
        "mt_grpo/trained_over_informative": 0.5,
        "mt_grpo/rounds": 3,
        "mt_grpo/failed_groups": 3,
        "mt_grpo/skipped_update": 1.0,
    }


def test_the_sampler_s_seconds_add_up_over_the_updates_of_a_step():
    timing_s = {"gen": 9.0}
    add_timings(timing_s, RECORD)
    add_timings(timing_s, RECORD)
    assert timing_s == {"gen": 9.0, "mt_grpo_decide": 0.5, "mt_grpo_poll": 3.0}


def test_a_step_of_two_updates_logs_sums_latest_values_and_means():
    first = {"mt_grpo/generated/a": 6, "mt_grpo/owed/a": 2.0, "mt_grpo/weight/a": 0.5, "mt_grpo/total_rollouts": 48}
    second = {"mt_grpo/generated/a": 4, "mt_grpo/owed/a": -1.0, "mt_grpo/weight/a": 0.25, "mt_grpo/total_rollouts": 80}
    assert joined([first, second | {"mt_grpo/accuracy/a": 0.5}]) == {
        "mt_grpo/generated/a": 10,
        "mt_grpo/owed/a": -1.0,
        "mt_grpo/weight/a": 0.375,
        "mt_grpo/total_rollouts": 80,
        "mt_grpo/accuracy/a": 0.5,
    }


def test_the_metrics_that_are_summed_or_the_latest_are_in_the_catalogue():
    metrics = TASK_METRICS | TOTAL_METRICS
    assert not SUMMED & LATEST and metrics.keys() >= SUMMED | LATEST
    counts = {key for key, metric in metrics.items() if metric.unit in ("groups", "rollouts", "tokens")}
    assert counts <= SUMMED | LATEST
