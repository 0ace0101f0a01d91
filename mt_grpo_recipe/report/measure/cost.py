"""What a run spent by each step, when it reached an accuracy, and what it reached within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.metrics import (
    AGE,
    GENERATED,
    GENERATED_ROLLOUTS,
    GENERATED_TOKENS,
    TOTAL_ROLLOUTS,
    TOTAL_TOKENS,
    TRAINED,
    Metric,
)
from mt_grpo_recipe.report.measure.accuracy import worst_accuracy
from mt_grpo_recipe.report.read.joining import STEP_SECONDS
from mt_grpo_recipe.report.read.log import Run, Series

TOTALS = {GENERATED_ROLLOUTS: TOTAL_ROLLOUTS, GENERATED_TOKENS: TOTAL_TOKENS}
"""Metric per task and step -> the metric by which the run itself counts it over all tasks, since it began."""


def over_tasks(run: Run, metric: Metric) -> Series:
    """A metric that is logged per task, summed over the tasks in each step that has it."""
    sums: dict[int, float] = {}
    for task in run.trained_tasks:
        series = run.series(metric.of(task))
        for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
            sums[step] = sums.get(step, 0.0) + value
    return Series.of(sums)


def prompts_per_step(run: Run) -> Series:
    """Prompts generated in each training step, all tasks together."""
    return over_tasks(run, GENERATED)


def seconds_spent(run: Run) -> Series:
    """Seconds of training up to and including each step, from 0 at step 0.

    Validation (which costs every method the same), start-up, and steps that a resumed attempt repeated are left out.
    """
    return _cumulative(run, run.series(STEP_SECONDS))


def prompts_spent(run: Run) -> Series:
    """Prompts generated up to and including each step, from 0 at step 0."""
    return _cumulative(run, prompts_per_step(run))


def rollouts_spent(run: Run) -> Series:
    """Rollouts of the groups that ended up to and including each step, from 0 at step 0."""
    return _spent(run, GENERATED_ROLLOUTS)


def tokens_spent(run: Run) -> Series:
    """Response tokens of the groups that ended up to and including each step, from 0 at step 0."""
    return _spent(run, GENERATED_TOKENS)


def lost_steps(run: Run) -> int:
    """How many training steps the log lacks, up to the last that it has."""
    return int(run.train_steps[-1]) - len(run.train_steps) if len(run.train_steps) else 0


def counts_itself(run: Run, metric: Metric) -> bool:
    """Whether the last step logs how much of a metric per task the run has spent, whatever steps the log has lost."""
    total = TOTALS.get(metric)
    return total is not None and len(run.train_steps) > 0 and total.name in run.records[int(run.train_steps[-1])]


def _spent(run: Run, metric: Metric) -> Series:
    if not counts_itself(run, metric):
        return _cumulative(run, over_tasks(run, metric))
    total = run.series(TOTALS[metric].name)
    steps = np.arange(int(total.steps[-1]) + 1, dtype=np.int64)
    # Over lost steps it grows evenly.
    return Series(steps, np.interp(steps, [0, *total.steps], [0.0, *total.values]))


def _cumulative(run: Run, series: Series) -> Series:
    if not len(series.steps):
        return series
    steps = np.arange(int(max(run.train_steps[-1], series.steps[-1])) + 1, dtype=np.int64)
    # A step missing from the log took about as long as the others.
    each = np.full(len(steps), series.values.mean())
    each[series.steps] = series.values
    each[0] = 0.0
    return Series(steps, np.cumsum(each))


@dataclass(frozen=True)
class Cost:
    """One way to count what a run spends.

    Attributes:
        key: its name in tables and titles.
        unit: what an amount of it counts.
        spent: amount up to and including each step, from 0 at step 0; empty where the log does not say.
    """

    key: str
    unit: str
    spent: Callable[[Run], Series]

    def known(self, run: Run) -> bool:
        """Whether the run's log says it."""
        return bool(len(self.spent(run).steps))


TIME = Cost("time", "seconds of training", seconds_spent)
PROMPTS = Cost("prompts", "prompts", prompts_spent)
ROLLOUTS = Cost("rollouts", "rollouts", rollouts_spent)
TOKENS = Cost("tokens", "response tokens", tokens_spent)


def in_all(run: Run, metric: Metric) -> float:
    """A metric that is logged per task, over all tasks and steps; NaN where it is not logged.

    It is what the run itself counted, if the last step logs that; otherwise a lost step counts as an average one.
    """
    return _spent(run, metric).last


def share_of(run: Run, part: Metric, whole: Metric) -> float:
    """One metric as a share of another, over the steps that log both; NaN where none does, or the other is 0."""
    parts, wholes = over_tasks(run, part), over_tasks(run, whole)
    common = np.intersect1d(parts.steps, wholes.steps)
    total = wholes.at(common).values.sum()
    return float(parts.at(common).values.sum() / total) if total else math.nan


def age_of_trained(run: Run) -> float:
    """Mean age in steps of all groups trained on; NaN where it is not logged."""
    age, trained = run.series(AGE.name), over_tasks(run, TRAINED)
    common = np.intersect1d(age.steps, trained.steps)
    groups = trained.at(common).values
    return float(age.at(common).values @ groups / groups.sum()) if groups.any() else math.nan


def value_within(series: Series, spent: Series, budget: float) -> float:
    """Last value of a validation series that at most `budget` had been spent for; NaN where there is none."""
    return series.at(spent.steps[spent.values <= budget * (1 + 1e-9)]).last


@dataclass(frozen=True)
class Reached:
    """When a run first reached an accuracy: the step, and what was spent by then, NaN where it is not logged."""

    step: int
    seconds: float
    prompts: float
    rollouts: float


def reached(run: Run, threshold: float) -> Reached | None:
    """When the worst task's validation accuracy first was at least `threshold`; None if it never was."""
    worst = worst_accuracy(run)
    index = first_reached(worst.values.tolist(), threshold)
    if index is None:
        return None
    step = worst.steps[index : index + 1]
    seconds, prompts, rollouts = (cost.spent(run).at(step).last for cost in (TIME, PROMPTS, ROLLOUTS))
    return Reached(int(step[0]), seconds, prompts, rollouts)


def first_reached(values: Sequence[float], threshold: float) -> int | None:
    """Index of the first value at or above `threshold`, up to rounding; None when no value is. NaN never counts."""
    return next((i for i, value in enumerate(values) if value >= threshold - 1e-9), None)


def default_thresholds(runs: Sequence[Run]) -> tuple[float, ...]:
    """Up to three round accuracies that some run's worst task reached, all above where any run started.

    They are multiples of 10 %, or of 5, 2 or 1 % where three of those would be too far apart.
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
