"""How far the shares of the batch were from those that were asked for."""

from __future__ import annotations

import numpy as np

from mt_grpo_recipe.metrics import BATCH_SHARE, TARGET_SHARE
from mt_grpo_recipe.report.read.log import Run, Series


def share_deviation(run: Run, task: str) -> Series:
    """|share of the batch got - share asked for| of a task, step by step."""
    target, batch = run.series(TARGET_SHARE.of(task)), run.series(BATCH_SHARE.of(task))
    common = np.intersect1d(target.steps, batch.steps)
    return Series(common, np.abs(batch.at(common).values - target.at(common).values))


def largest_deviation(run: Run) -> Series:
    """Largest deviation over the tasks, step by step."""
    largest: dict[int, float] = {}
    for task in run.trained_tasks:
        deviation = share_deviation(run, task)
        for step, value in zip(deviation.steps.tolist(), deviation.values.tolist(), strict=True):
            largest[step] = max(largest.get(step, 0.0), value)
    return Series.of(largest)
