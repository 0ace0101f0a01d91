"""What a training step logs about the tasks and the sampler, whoever drives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.metrics import (
    ADVANTAGE_MASS,
    FAILED_GROUPS,
    LOSS_WEIGHT,
    ROUNDS,
    SKIPPED_UPDATE,
    TASK_METRICS,
    TOTAL_METRICS,
)


def step_metrics(
    controller: TaskController, selection: Selection, slugs: Mapping[str, str], skipped: bool
) -> dict[str, float]:
    """Metrics of a step by their names in the training log, timings and loss weights apart.

    Args:
        controller: has observed the step.
        selection: of the step.
        slugs: slug of each task.
        skipped: whether the policy was left unchanged.
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


def gradient_metrics(mass_K: FloatArray, loss_weights_K: FloatArray | None, slugs: Sequence[str]) -> dict[str, float]:
    """Metrics of an update by their names in the training log: each task's part of the gradient, and its loss weight.

    Args:
        mass_K: sum of |advantage| over the tokens of each task, shape (K,).
        loss_weights_K: weight of each task's tokens in the loss, shape (K,); None: one everywhere, and not logged.
        slugs: of the tasks, length K.
    """
    weighted_K = mass_K if loss_weights_K is None else mass_K * loss_weights_K
    logged = [(ADVANTAGE_MASS, weighted_K)]
    if loss_weights_K is not None:
        logged.append((LOSS_WEIGHT, loss_weights_K))
    return {
        metric.of(slug): value
        for metric, values_K in logged
        for slug, value in zip(slugs, values_K.tolist(), strict=True)
    }
