"""What a step leaves in the logs: the metrics of its tasks, the sampler's seconds, the line of `decisions.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.metrics import (
    DECIDE_SECONDS,
    FAILED_GROUPS,
    POLL_SECONDS,
    ROUNDS,
    SKIPPED_UPDATE,
    TASK_METRICS,
    TOTAL_METRICS,
)
from mt_grpo_recipe.verl_plugin.replay_buffer import StepRecord


def step_metrics(
    controller: TaskController, record: StepRecord, slugs: Mapping[str, str], skipped: bool
) -> dict[str, float]:
    """Metrics of a step, as verl logs them.

    Args:
        controller: has observed the step.
        record: what the sampler did.
        slugs: slug of each task.
        skipped: whether the policy was left as it is.
    """
    metrics = {
        TASK_METRICS[name].of(slugs[task]): value
        for name, by_task in controller.metrics().items()
        for task, value in by_task.items()
    }
    metrics.update({TOTAL_METRICS[name].name: value for name, value in controller.totals().items()})
    metrics[ROUNDS.name] = record.selection.rounds
    metrics[FAILED_GROUPS.name] = int(record.selection.failed_K.sum())
    metrics[SKIPPED_UPDATE.name] = float(skipped)
    return metrics


def add_timings(timing_s: dict[str, float], record: StepRecord) -> None:
    """Add the sampler's seconds to those of the step, which may have several updates."""
    for metric, seconds in ((DECIDE_SECONDS, record.decide_s), (POLL_SECONDS, record.poll_s)):
        timing_s[metric.key] = timing_s.get(metric.key, 0.0) + seconds


def decision(weights_K: FloatArray, record: StepRecord, rows: list[int]) -> dict[str, Any]:
    """What was decided in a step, by which two runs are compared.

    Args:
        weights_K: z that the step was sampled with, shape (K,).
        record: what the sampler did.
        rows: row numbers of the prompts launched, in order.
    """
    selection = record.selection
    return {
        "weights": weights_K.tolist(),
        "quota": selection.quota_K.tolist(),
        "rows": list(rows),
        "chosen": selection.launch_ids,
    }
