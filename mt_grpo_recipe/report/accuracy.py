"""Validation accuracies of a run, as series over the validated steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mt_grpo_recipe.metrics import (
    AVERAGE_ACCURACY,
    TASK_ACCURACY,
    WORST_TASK_ACCURACY,
    average_accuracy,
    worst_task,
)
from mt_grpo_recipe.report.log import Run, Series


def task_accuracy(run: Run, task: str) -> Series:
    """Validation accuracy of one task, between 0 and 1."""
    return run.series(f"{TASK_ACCURACY}/{task}")


def validated_tasks(run: Run) -> tuple[str, ...]:
    """The tasks that the run has validation accuracies of, in the run's order."""
    return tuple(task for task in run.tasks if len(task_accuracy(run, task).steps))


def ranked_tasks(run: Run) -> tuple[str, ...]:
    """The tasks among which the worst is sought: those trained and validated, or all validated if none is trained."""
    validated = validated_tasks(run)
    return tuple(task for task in validated if task in run.trained_tasks) or validated


def worst_accuracy(run: Run) -> Series:
    """Accuracy of the worst task, as logged; from the ranked tasks' accuracies where it is not logged."""
    return _logged_or(run, WORST_TASK_ACCURACY, lambda accuracy: worst_task(accuracy)[1])


def mean_accuracy(run: Run) -> Series:
    """Mean accuracy over the ranked tasks, as logged; from the tasks' accuracies where it is not logged."""
    return _logged_or(run, AVERAGE_ACCURACY, average_accuracy)


def final_accuracies(run: Run) -> dict[str, float]:
    """Each validated task's accuracy at its last validation."""
    return {task: task_accuracy(run, task).last for task in validated_tasks(run)}


def _logged_or(run: Run, metric: str, reduce: Callable[[Mapping[str, float]], float]) -> Series:
    tasks = ranked_tasks(run)
    found: list[tuple[int, float]] = []
    for step, data in run.records.items():
        accuracy = {task: data[f"{TASK_ACCURACY}/{task}"] for task in tasks if f"{TASK_ACCURACY}/{task}" in data}
        if metric in data:
            found.append((step, data[metric]))
        elif tasks and len(accuracy) == len(tasks):
            # A validation that lacks a task would make the summary of another set of tasks.
            found.append((step, reduce(accuracy)))
    return Series(np.array([s for s, _ in found], dtype=np.int64), np.array([v for _, v in found], dtype=np.float64))
