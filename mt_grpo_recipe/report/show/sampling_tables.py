"""Tables on what the sampler did: weights, shares, rounds, prompts, time; and on the runs themselves."""

from __future__ import annotations

import math

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.metrics import (
    BATCH_SHARE,
    FAILED_GROUPS,
    GENERATED,
    LOSS_WEIGHT,
    ROUNDS,
    SHORTFALL,
    SKIPPED_UPDATE,
    TARGET_SHARE,
    WEIGHT,
    ZERO_GRAD_RATE,
    Metric,
)
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.measure.cost import prompts_per_step, prompts_spent, seconds_spent
from mt_grpo_recipe.report.measure.groups import Group, over_runs
from mt_grpo_recipe.report.measure.shares import share_deviation
from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.read.joining import STEP_SECONDS
from mt_grpo_recipe.report.read.log import Run
from mt_grpo_recipe.report.show.tables import (
    SPREAD,
    Cell,
    Column,
    Kind,
    Table,
    measured,
    method_column,
    table_by_group,
    without_empty,
)

GAPS = (
    Column("mean_deviation", "mean gap, points", "share"),
    Column("largest_deviation", "largest gap, points", "share"),
)
SHARES: tuple[tuple[Metric, str, Kind], ...] = (
    (WEIGHT, "weight %", "share"),
    (TARGET_SHARE, "asked for %", "share"),
    (BATCH_SHARE, "got %", "share"),
)
"""What stands before the gaps, as means over the last steps."""
COUNTS: tuple[tuple[Metric, str, Kind], ...] = (
    (ZERO_GRAD_RATE, "zero-gradient %", "share"),
    (GENERATED, "prompts a step", "count"),
    (SHORTFALL, "missing a step", "number"),
    (LOSS_WEIGHT, "loss weight", "number"),
)
"""What stands behind the gaps, as means over the last steps."""


def sampling_table(comparison: Comparison) -> Table:
    """Weights, shares asked for and got, and what was filtered, by method and task."""
    before, after = ([Column(metric.key, title, kind) for metric, title, kind in late] for late in (SHARES, COUNTS))
    columns = (Column("method", "method"), Column("task", "task"), *before, *GAPS, *after)
    rows = [
        _sampling_row(comparison, group, task)
        for group in comparison.groups
        for task in comparison.tasks
        if any(task in run.trained_tasks for run in group.runs)
    ]
    remarks = (
        f"Means over the last {comparison.last} steps; gaps are over all steps, and the largest is over all runs too.",
        "Asked for: the quota of the step as a share of the batch. Got: the share of the batch trained on. Gap: the "
        "distance between the two in one step. Zero-gradient: generated prompts whose rollouts carry no signal. "
        "Missing: prompts by which a task's quota was not met.",
        SPREAD,
    )
    return without_empty(Table("sampling", "What each task was given", columns, tuple(rows), remarks))


def _sampling_row(comparison: Comparison, group: Group, task: str) -> tuple[Cell, ...]:
    def late(metric: Metric) -> Stat:
        return over_runs(group, lambda run: run.late_mean(metric.of(task), comparison.last))

    gaps = [share_deviation(run, task).values for run in group.runs]
    largest = max((float(gap.max()) for gap in gaps if len(gap)), default=math.nan)
    return (
        group.name,
        task,
        *(late(metric) for metric, _, _ in SHARES),
        Stat.of(float(gap.mean()) if len(gap) else None for gap in gaps),
        Stat.of([largest]),
        *(late(metric) for metric, _, _ in COUNTS),
    )


def cost_table(comparison: Comparison) -> Table:
    """Rounds, prompts and time of a step, and of the whole run."""
    filled = [
        method_column(),
        measured("rounds", "rounds a step", "number", lambda run: _mean(run, ROUNDS.name)),
        measured("prompts", "prompts a step", "count", lambda run: _or_nan(prompts_per_step(run).values)),
        measured("step_seconds", "time a step", "seconds", lambda run: _mean(run, STEP_SECONDS)),
        measured("gen_seconds", "generation a step", "seconds", lambda run: _mean(run, "timing_s/gen")),
        measured("update_seconds", "update a step", "seconds", lambda run: _mean(run, "timing_s/update_actor")),
        measured("response_length", "tokens a response", "count", lambda run: _mean(run, "response_length/mean")),
        measured("total_prompts", "prompts in all", "count", lambda run: prompts_spent(run).last),
        measured("total_seconds", "time in all", "seconds", lambda run: seconds_spent(run).last),
        measured("failed_groups", "failed groups in all", "count", lambda run: _sum(run, FAILED_GROUPS.name)),
        measured("skipped_updates", "skipped updates in all", "count", lambda run: _sum(run, SKIPPED_UPDATE.name)),
    ]
    remarks = (
        "Means over all steps. Time is training alone, without validation. A step that a log has lost counts as an "
        "average one.",
        SPREAD,
    )
    return without_empty(table_by_group("cost", "What it cost", filled, comparison.groups, remarks))


def _mean(run: Run, metric: str) -> float:
    return _or_nan(run.series(metric).values)


def _sum(run: Run, metric: str) -> float:
    values = run.series(metric).values
    return float(values.sum()) if len(values) else math.nan


def _or_nan(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


def runs_table(comparison: Comparison) -> Table:
    """The runs and their files."""
    columns = (
        Column("method", "method"),
        Column("seed", "seed"),
        Column("steps", "steps"),
        Column("attempts", "attempts"),
        Column("path", "path"),
    )
    rows = [
        (
            group.name,
            "-" if run.seed is None else str(run.seed),
            str(len(run.train_steps)),
            str(len(run.files)),
            str(run.path),
        )
        for group in comparison.groups
        for run in group.runs
    ]
    return Table("runs", "The runs", columns, tuple(rows))
