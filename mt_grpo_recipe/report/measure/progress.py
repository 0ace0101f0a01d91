"""How far a run has got and what becomes of each task, for someone watching it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.metrics import (
    ACCURACY,
    BATCH_SHARE,
    FAILING_STEPS,
    GENERATED_ROLLOUTS,
    STEPS_LEFT,
    TARGET_SHARE,
    TRAINED_ROLLOUTS,
    WEIGHT,
    ZERO_GRAD_RATE,
    Metric,
)
from mt_grpo_recipe.report.measure.cost import counts_itself, in_all, lost_steps, over_tasks
from mt_grpo_recipe.report.measure.starvation import starvations
from mt_grpo_recipe.report.read.joining import STEP_SECONDS
from mt_grpo_recipe.report.read.log import Run, Series

LAST_STEPS = 10
"""Shares and rates are means over this many of the last steps: a single batch is too small to tell."""
VALIDATION_SECONDS = "timing_s/testing"
"""verl's seconds of a validation, which it times separately from the step."""


@dataclass(frozen=True)
class TaskProgress:
    """One task of a run. Shares and rates are between 0 and 1; NaN stands for what is not logged.

    Attributes:
        task: its name.
        weights: z, step by step.
        target, batch, accuracy, zero_grad: share asked for and got, J_k, and share of groups without a gradient; means
            over the last steps.
        generated, trained: rollouts since the run began; steps that the log has lost count as average ones.
        failing_steps: steps in a row in which groups of the task failed and none finished.
        starved: a sentence if the last steps asked for it and trained on nothing of it; else None.
    """

    task: str
    weights: Series
    target: float
    batch: float
    accuracy: float
    zero_grad: float
    generated: float
    trained: float
    failing_steps: int
    starved: str | None

    @property
    def short(self) -> bool:
        """Whether it got less than half of the share asked for."""
        return self.batch < self.target / 2


@dataclass(frozen=True)
class Progress:
    """How far a run has got.

    Attributes:
        step: last training step logged; 0 before the first.
        total: steps of the whole run; None where the log does not say.
        step_seconds: median seconds of the last steps; NaN before the first.
        seconds_left: until the end, validations included; NaN where `total` is None.
        tasks: the tasks that are trained.
        generated, trained: rollouts of all tasks since the run began.
        lost: training steps that the log lacks.
        counted: whether `generated` is what the run itself counted, whatever the log lacks.
    """

    step: int
    total: int | None
    step_seconds: float
    seconds_left: float
    tasks: tuple[TaskProgress, ...]
    generated: float
    trained: float
    lost: int
    counted: bool

    @property
    def finished(self) -> bool:
        """Whether the last step is logged."""
        return self.step == self.total


def progress_of(run: Run) -> Progress:
    """How far a run has got, by its log."""
    steps = run.train_steps
    step = int(steps[-1]) if len(steps) else 0
    total = total_steps(run, step)
    starved = {stretch.task: stretch.sentence() for stretch in starvations(run, LAST_STEPS) if stretch.lasts}
    recent = run.series(STEP_SECONDS).values[-LAST_STEPS:]
    return Progress(
        step=step,
        total=total,
        step_seconds=float(np.median(recent)) if len(recent) else math.nan,
        seconds_left=math.nan if total is None else seconds_for(run, total - step),
        tasks=tuple(_task_progress(run, task, starved.get(task)) for task in run.trained_tasks),
        generated=in_all(run, GENERATED_ROLLOUTS),
        trained=in_all(run, TRAINED_ROLLOUTS),
        lost=lost_steps(run),
        counted=counts_itself(run, GENERATED_ROLLOUTS),
    )


def lost_sentence(steps: int) -> str:
    """Say how steps that a log lacks are counted."""
    return (
        f"{steps} steps are not logged and count as average ones"
        if steps > 1
        else ("1 step is not logged and counts as an average one")
    )


def total_steps(run: Run, step: int) -> int | None:
    """Steps of the whole run, as logged in a step; None where that step does not say."""
    left = run.records.get(step, {}).get(STEPS_LEFT.name)
    return None if left is None else step + int(left)


def seconds_for(run: Run, steps: int) -> float:
    """Seconds that this many more steps will take at the pace so far, validations included; NaN before the first."""
    spent = run.series(STEP_SECONDS).values
    if not len(spent):
        return math.nan
    return float(steps * (spent.sum() + run.series(VALIDATION_SECONDS).values.sum()) / len(spent))


def _task_progress(run: Run, task: str, starved: str | None) -> TaskProgress:
    def late(metric: Metric) -> float:
        return run.late_mean(metric.of(task), LAST_STEPS)

    def share_in_all(metric: Metric) -> float:
        part, logged = run.series(metric.of(task)).values, over_tasks(run, metric).values.sum()
        if not len(part):
            return math.nan
        return float(part.sum() * (in_all(run, metric) / logged if logged else 1.0))

    failing = run.series(FAILING_STEPS.of(task)).last
    return TaskProgress(
        task=task,
        weights=run.series(WEIGHT.of(task)),
        target=late(TARGET_SHARE),
        batch=late(BATCH_SHARE),
        accuracy=late(ACCURACY),
        zero_grad=late(ZERO_GRAD_RATE),
        generated=share_in_all(GENERATED_ROLLOUTS),
        trained=share_in_all(TRAINED_ROLLOUTS),
        failing_steps=0 if math.isnan(failing) else int(failing),
        starved=starved,
    )
