"""Numbers of one run that tables and figures show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.metrics import average_relative_change, first_reached, task_metric
from mt_grpo_recipe.report.accuracy import final_accuracies, ranked_tasks, worst_accuracy
from mt_grpo_recipe.report.cost import at_steps, prompts_spent, seconds_spent
from mt_grpo_recipe.report.log import Run, Series


@dataclass(frozen=True)
class Reached:
    """When a run first reached an accuracy: the step, and seconds of training and prompts spent by then (or NaN)."""

    step: int
    seconds: float
    prompts: float


def best(series: Series) -> tuple[int, float] | None:
    """Step and value of the largest value, the first of equals; None for an empty series."""
    if not len(series.values):
        return None
    index = int(series.values.argmax())
    return int(series.steps[index]), float(series.values[index])


def reached(run: Run, threshold: float) -> Reached | None:
    """When the worst task's validation accuracy first was at least `threshold`; None if it never was."""
    worst = worst_accuracy(run)
    index = first_reached(worst.values.tolist(), threshold)
    if index is None:
        return None
    step = worst.steps[index : index + 1]
    return Reached(int(step[0]), at_steps(seconds_spent(run), step).last, at_steps(prompts_spent(run), step).last)


def value_within(series: Series, spent: Series, budget: float) -> float:
    """Last value of a validation series that at most `budget` had been spent for; NaN where there is none."""
    afforded = spent.steps[spent.values <= budget * (1 + 1e-9)]
    return at_steps(series, afforded).last


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


def share_deviation(run: Run, task: str) -> Series:
    """|share of the batch got - share asked for| of a task, step by step."""
    target, batch = (run.series(task_metric(name, task)) for name in ("target_share", "batch_share"))
    common = np.intersect1d(target.steps, batch.steps)
    return Series(common, np.abs(at_steps(batch, common).values - at_steps(target, common).values))


def largest_deviation(run: Run) -> Series:
    """Largest deviation over the tasks, step by step."""
    largest: dict[int, float] = {}
    for task in run.trained_tasks:
        deviation = share_deviation(run, task)
        for step, value in zip(deviation.steps.tolist(), deviation.values.tolist(), strict=True):
            largest[step] = max(largest.get(step, 0.0), value)
    steps = sorted(largest)
    return Series(np.array(steps, dtype=np.int64), np.array([largest[step] for step in steps], dtype=np.float64))


def default_thresholds(runs: Sequence[Run]) -> tuple[float, ...]:
    """Up to three round accuracies that some run's worst task climbed to, above where any run started.

    They are multiples of 10 %, or of 5, 2 or 1 % where three such lie too far apart.
    """
    series = [worst for run in runs if len((worst := worst_accuracy(run)).values)]
    if not series:
        return ()
    start = max(worst.first for worst in series)
    top = max(float(worst.values.max()) for worst in series)
    levels: list[int] = []
    for unit in (10, 5, 2, 1):
        levels = [level for level in range(unit, 101, unit) if start < level / 100 <= top + 1e-9]
        if len(levels) >= 3:
            break
    return tuple(level / 100 for level in levels[-3:])
