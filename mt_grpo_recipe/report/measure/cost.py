"""What a run spent by each step, when it reached an accuracy, and what it reached within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.metrics import GENERATED
from mt_grpo_recipe.report.measure.accuracy import worst_accuracy
from mt_grpo_recipe.report.read.joining import STEP_SECONDS
from mt_grpo_recipe.report.read.log import Run, Series


def prompts_per_step(run: Run) -> Series:
    """Prompts generated in each training step, all tasks together."""
    sums: dict[int, float] = {}
    for task in run.trained_tasks:
        series = run.series(GENERATED.of(task))
        for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
            sums[step] = sums.get(step, 0.0) + value
    return Series.of(sums)


def seconds_spent(run: Run) -> Series:
    """Seconds of training up to and including each step, from 0 at step 0.

    Left out are validation, which costs every method the same, start-up, and steps that a resumed attempt did again.
    """
    return _cumulative(run, run.series(STEP_SECONDS))


def prompts_spent(run: Run) -> Series:
    """Prompts generated up to and including each step, from 0 at step 0."""
    return _cumulative(run, prompts_per_step(run))


def _cumulative(run: Run, series: Series) -> Series:
    if not len(series.steps):
        return series
    steps = np.arange(int(max(run.train_steps[-1], series.steps[-1])) + 1, dtype=np.int64)
    # A step missing from the log took about as long as the others.
    each = np.full(len(steps), series.values.mean())
    each[series.steps] = series.values
    each[0] = 0.0
    return Series(steps, np.cumsum(each))


def value_within(series: Series, spent: Series, budget: float) -> float:
    """Last value of a validation series that at most `budget` had been spent for; NaN where there is none."""
    return series.at(spent.steps[spent.values <= budget * (1 + 1e-9)]).last


@dataclass(frozen=True)
class Reached:
    """When a run first reached an accuracy: the step, and seconds of training and prompts spent by then (or NaN)."""

    step: int
    seconds: float
    prompts: float


def reached(run: Run, threshold: float) -> Reached | None:
    """When the worst task's validation accuracy first was at least `threshold`; None if it never was."""
    worst = worst_accuracy(run)
    index = first_reached(worst.values.tolist(), threshold)
    if index is None:
        return None
    step = worst.steps[index : index + 1]
    return Reached(int(step[0]), seconds_spent(run).at(step).last, prompts_spent(run).at(step).last)


def first_reached(values: Sequence[float], threshold: float) -> int | None:
    """Index of the first value at or above `threshold`, to within rounding; None when no value is. NaN never counts."""
    return next((i for i, value in enumerate(values) if value >= threshold - 1e-9), None)


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
