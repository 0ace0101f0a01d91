"""Validation accuracies: a run's series over the validated steps, and summaries over its tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from mt_grpo_recipe.metrics import AVERAGE_ACCURACY, TASK_ACCURACY, WORST_TASK_ACCURACY, Metric
from mt_grpo_recipe.report.read.log import Run, Series


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


def task_accuracy(run: Run, task: str) -> Series:
    """Validation accuracy of one task, between 0 and 1."""
    return run.series(TASK_ACCURACY.of(task))


def validated_tasks(run: Run) -> tuple[str, ...]:
    """The tasks for which the run has validation accuracies, in the run's order."""
    return tuple(task for task in run.tasks if len(task_accuracy(run, task).steps))


def ranked_tasks(run: Run) -> tuple[str, ...]:
    """The tasks that can be the worst: those trained and validated, or all validated ones if none is trained."""
    validated = validated_tasks(run)
    return tuple(task for task in validated if task in run.trained_tasks) or validated


def worst_accuracy(run: Run) -> Series:
    """Accuracy of the worst task, as logged; from the ranked tasks' accuracies where it is not logged."""
    return _logged_or(run, WORST_TASK_ACCURACY, lambda accuracy: worst_task(accuracy)[1])


def mean_accuracy(run: Run) -> Series:
    """Mean accuracy over the ranked tasks, as logged; from the tasks' accuracies where it is not logged."""
    return _logged_or(run, AVERAGE_ACCURACY, average_accuracy)


def _logged_or(run: Run, metric: Metric, reduce: Callable[[Mapping[str, float]], float]) -> Series:
    name_of = {task: TASK_ACCURACY.of(task) for task in ranked_tasks(run)}
    found: dict[int, float] = {}
    for step, data in run.records.items():
        accuracy = {task: data[name] for task, name in name_of.items() if name in data}
        if metric.name in data:
            found[step] = data[metric.name]
        elif accuracy and len(accuracy) == len(name_of):
            # A validation that lacks a task would be summarised over another set of tasks.
            found[step] = reduce(accuracy)
    return Series.of(found)


def final_accuracies(run: Run) -> dict[str, float]:
    """Each validated task's accuracy at its last validation."""
    return {task: task_accuracy(run, task).last for task in validated_tasks(run)}


def relative_change(run: Run, baseline: Mapping[str, float]) -> float:
    """Average relative change of the final accuracies against a baseline's, in per cent, over the tasks both have.

    Returns:
        Per cent; NaN where no task is shared, or where the baseline scores 0 on one.
    """
    final = final_accuracies(run)
    shared = [task for task in ranked_tasks(run) if task in baseline]
    if not shared:
        return math.nan
    return average_relative_change({t: final[t] for t in shared}, {t: baseline[t] for t in shared})


def best(series: Series) -> tuple[int, float] | None:
    """Step and value of the largest value, the first of equals; None for an empty series."""
    if not len(series.values):
        return None
    index = int(series.values.argmax())
    return int(series.steps[index]), float(series.values[index])
