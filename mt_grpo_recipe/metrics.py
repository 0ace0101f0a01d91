"""Names and summaries that the plugin writes and the report reads."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

PREFIX = "mt_grpo"
WORST_TASK_ACCURACY = f"val-core/{PREFIX}/worst_task_acc"
AVERAGE_ACCURACY = f"val-core/{PREFIX}/avg_acc"
TASK_ACCURACY = f"val-core/{PREFIX}/acc"
"""Followed by "/<task>"."""
ROUNDS = f"{PREFIX}/rounds"
TASK_METRICS = (
    "weight",
    "target_share",
    "batch_share",
    "zero_grad_rate",
    "accuracy",
    "improvement",
    "generated",
    "shortfall",
)
"""What a training step logs for each task, under `task_metric(name, slug)`."""


def task_metric(name: str, slug: str) -> str:
    """Name in the training log of one task's metric, such as "mt_grpo/weight/2-countdown"."""
    return f"{PREFIX}/{name}/{slug}"


def task_slugs(tasks: Sequence[str]) -> dict[str, str]:
    """Map each task name to a distinct name that is safe inside a metric: letters, digits, "." and "-" only.

    Names that fall together after cleaning get a number: `a/b` and `a_b` become `a-b` and `a-b-2`.
    """
    slugs: dict[str, str] = {}
    for task in tasks:
        base = re.sub(r"[^\w.]+|_+", "-", task).strip("-") or "task"
        slug, number = base, 1
        while slug in slugs.values():
            number += 1
            slug = f"{base}-{number}"
        slugs[task] = slug
    return slugs


def worst_task(accuracy: Mapping[str, float]) -> tuple[str, float]:
    """The task of lowest accuracy and that accuracy; the first of equals, in the mapping's order.

    Raises:
        ValueError: no task is given.
    """
    if not accuracy:
        raise ValueError("the worst task of no tasks is not defined")
    task = min(accuracy, key=accuracy.__getitem__)
    return task, accuracy[task]


def average_accuracy(accuracy: Mapping[str, float]) -> float:
    """Mean accuracy over the tasks, each task counting once however many prompts it has.

    Raises:
        ValueError: no task is given.
    """
    if not accuracy:
        raise ValueError("the average over no tasks is not defined")
    return math.fsum(accuracy.values()) / len(accuracy)


def average_relative_change(accuracy: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """Mean over the tasks of (acc - acc_baseline) / acc_baseline, in per cent (paper, appendix E).

    Args:
        accuracy: accuracy of each task.
        baseline: accuracy of the same tasks under the baseline method.

    Returns:
        Per cent; NaN when the baseline scores 0 on a task, where the change is not defined.

    Raises:
        ValueError: the two do not name the same tasks, or name none.
    """
    if not accuracy or set(accuracy) != set(baseline):
        raise ValueError(f"the same tasks are needed on both sides, got {sorted(accuracy)} and {sorted(baseline)}")
    if any(baseline[task] == 0 for task in accuracy):
        return math.nan
    return 100 * math.fsum((accuracy[task] - baseline[task]) / baseline[task] for task in accuracy) / len(accuracy)


def first_reached(values: Sequence[float], threshold: float) -> int | None:
    """Index of the first value at or above `threshold`, to within rounding; None when no value is. NaN never counts."""
    return next((i for i, value in enumerate(values) if value >= threshold - 1e-9), None)
