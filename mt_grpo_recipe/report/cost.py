"""What a run has spent by each step: seconds of training, prompts generated."""

from __future__ import annotations

import numpy as np

from mt_grpo_recipe.metrics import task_metric
from mt_grpo_recipe.report.joining import STEP_SECONDS
from mt_grpo_recipe.report.log import Run, Series


def prompts_per_step(run: Run) -> Series:
    """Prompts generated in each training step, all tasks together."""
    by_task = [run.series(task_metric("generated", task)) for task in run.trained_tasks]
    sums: dict[int, float] = {}
    for series in by_task:
        for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
            sums[step] = sums.get(step, 0.0) + value
    steps = sorted(sums)
    return Series(np.array(steps, dtype=np.int64), np.array([sums[step] for step in steps], dtype=np.float64))


def seconds_spent(run: Run) -> Series:
    """Seconds of training up to and with each step, from 0 at step 0.

    Validation is left out, which costs every method the same, and so are start-up and steps that a resumed attempt
    did again.
    """
    return _cumulative(run, run.series(STEP_SECONDS))


def prompts_spent(run: Run) -> Series:
    """Prompts generated up to and with each step, from 0 at step 0."""
    return _cumulative(run, prompts_per_step(run))


def at_steps(series: Series, steps: np.ndarray) -> Series:
    """The part of a series at the steps given, where it has them."""
    keep = np.isin(series.steps, steps)
    return Series(series.steps[keep], series.values[keep])


def _cumulative(run: Run, series: Series) -> Series:
    if not len(series.steps):
        return series
    steps = np.arange(int(max(run.train_steps[-1], series.steps[-1])) + 1, dtype=np.int64)
    # A step that the log has lost took about as long as the others.
    each = np.full(len(steps), series.values.mean())
    each[series.steps] = series.values
    each[0] = 0.0
    return Series(steps, np.cumsum(each))
