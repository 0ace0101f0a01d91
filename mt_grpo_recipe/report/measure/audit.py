"""Where a run's rollouts went, task by task: asked for, generated, informative, trained on, part of the gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.algorithm.arrays import IntArray
from mt_grpo_recipe.metrics import (
    ADVANTAGE_MASS,
    ALL_ALIKE,
    ALL_RIGHT,
    ALL_WRONG,
    DISCARDED,
    FAILED,
    GENERATED,
    INFORMATIVE,
    TARGET_SHARE,
    TRAINED,
    TRAINED_TOKENS,
    WITH_GRADIENT,
    Metric,
)
from mt_grpo_recipe.report.read.log import Run


@dataclass(frozen=True)
class TaskAudit:
    """What became of one task over some steps. NaN where the log does not say.

    Attributes:
        task: its name.
        asked: share of the batch asked for, mean over the steps.
        generated: groups launched.
        informative: informative groups that ended.
        trained: groups trained on.
        tokens: response tokens trained on.
        token_share: its share of those of all tasks.
        gradient_share: its share of the gradient: of the sum of |advantage| times loss weight over the tokens.
        fates: what the launched groups ended as, in groups; empty where the log does not say. They sum to `generated`
            where every group ended within these steps.
    """

    task: str
    asked: float
    generated: float
    informative: float
    trained: float
    tokens: float
    token_share: float
    gradient_share: float
    fates: dict[str, float]


FATES: dict[str, tuple[Metric, ...]] = {
    "trained on": (WITH_GRADIENT,),
    "informative, not trained on": (DISCARDED,),
    "all right": (ALL_RIGHT,),
    "all wrong": (ALL_WRONG,),
    "all alike": (ALL_ALIKE,),
    "failed": (FAILED,),
}
"""What groups end as, and the metrics that count them; the rest of those launched is `NOT_ENDED`."""

NOT_ENDED = "not ended"


def audit(run: Run, last: int | None = None) -> tuple[TaskAudit, ...]:
    """What became of each trained task.

    Args:
        run: the run.
        last: over this many of the last training steps; None: all.
    """
    steps = run.train_steps if last is None else run.train_steps[-last:]
    tokens = {task: amount(run, TRAINED_TOKENS, task, steps) for task in run.trained_tasks}
    mass = {task: amount(run, ADVANTAGE_MASS, task, steps) for task in run.trained_tasks}
    return tuple(
        TaskAudit(
            task=task,
            asked=run.late_mean(TARGET_SHARE.of(task), len(steps)) if len(steps) else math.nan,
            generated=amount(run, GENERATED, task, steps),
            informative=amount(run, INFORMATIVE, task, steps),
            trained=amount(run, TRAINED, task, steps),
            tokens=tokens[task],
            token_share=_share(tokens, task),
            gradient_share=_share(mass, task),
            fates=fates(run, task, steps),
        )
        for task in run.trained_tasks
    )


def amount(run: Run, metric: Metric, task: str, steps: IntArray) -> float:
    """Sum of a task's metric over the steps that have it; NaN where the run never logs it."""
    series = run.series(metric.of(task))
    return float(series.at(steps).values.sum()) if len(series.steps) else math.nan


def fates(run: Run, task: str, steps: IntArray) -> dict[str, float]:
    """What the groups that were launched in these steps ended as, in groups; empty where the log does not say."""
    ended = {fate: sum(amount(run, metric, task, steps) for metric in counted) for fate, counted in FATES.items()}
    launched = amount(run, GENERATED, task, steps)
    if math.isnan(launched + sum(ended.values())):
        return {}
    return ended | {NOT_ENDED: max(launched - sum(ended.values()), 0.0)}


def _share(amounts: Mapping[str, float], task: str) -> float:
    total = float(np.nansum(list(amounts.values())))
    return amounts[task] / total if total else math.nan
