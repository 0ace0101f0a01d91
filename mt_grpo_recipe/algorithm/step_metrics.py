"""What a training step logs of the tasks and of the sampler, whoever drives it."""

from __future__ import annotations

from collections.abc import Mapping

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.metrics import FAILED_GROUPS, ROUNDS, SKIPPED_UPDATE, TASK_METRICS, TOTAL_METRICS


def step_metrics(
    controller: TaskController, selection: Selection, slugs: Mapping[str, str], skipped: bool
) -> dict[str, float]:
    """Metrics of a step by their names in the training log, timings and loss weights apart.

    Args:
        controller: has observed the step.
        selection: of the step.
        slugs: slug of each task.
        skipped: whether the policy was left as it is.
    """
    metrics = {
        TASK_METRICS[name].of(slugs[task]): value
        for name, by_task in controller.metrics().items()
        for task, value in by_task.items()
    }
    metrics.update({TOTAL_METRICS[name].name: value for name, value in controller.totals().items()})
    metrics[ROUNDS.name] = selection.rounds
    metrics[FAILED_GROUPS.name] = int(selection.failed_K.sum())
    metrics[SKIPPED_UPDATE.name] = float(skipped)
    return metrics
