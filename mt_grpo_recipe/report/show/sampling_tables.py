"""Tables on what the sampler did: weights, shares, rounds, time, what was trained on; and on the runs themselves."""

from __future__ import annotations

import math
from functools import partial

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.metrics import (
    BATCH_SHARE,
    CARRIED,
    DISCARDED,
    FAILED_GROUPS,
    GENERATED,
    GENERATED_ROLLOUTS,
    GENERATED_TOKENS,
    LOSS_WEIGHT,
    ROUNDS,
    SHORTFALL,
    SKIPPED_UPDATE,
    TARGET_SHARE,
    TRAINED_OVER_INFORMATIVE,
    TRAINED_ROLLOUTS,
    TRAINED_TOKENS,
    WEIGHT,
    ZERO_GRAD_RATE,
    Metric,
)
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.measure.cost import (
    age_of_trained,
    in_all,
    over_tasks,
    prompts_per_step,
    prompts_spent,
    seconds_spent,
    share_of,
)
from mt_grpo_recipe.report.measure.groups import Group, over_runs
from mt_grpo_recipe.report.measure.shares import share_deviation
from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.read.joining import STEP_SECONDS
from mt_grpo_recipe.report.read.log import Run
from mt_grpo_recipe.report.show.tables import (
    SPREAD,
    Cell,
    Column,
    FilledColumn,
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
"""Columns before the gaps, as means over the last steps."""
COUNTS: tuple[tuple[Metric, str, Kind], ...] = (
    (ZERO_GRAD_RATE, "zero-gradient %", "share"),
    (GENERATED, "prompts per step", "count"),
    (SHORTFALL, "missing per step", "number"),
    (LOSS_WEIGHT, "loss weight", "number"),
)
"""Columns after the gaps, as means over the last steps."""


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
        measured("rounds", "rounds per step", "number", lambda run: _mean(run, ROUNDS.name)),
        measured("prompts", "prompts per step", "count", lambda run: _or_nan(prompts_per_step(run).values)),
        measured("step_seconds", "time per step", "seconds", lambda run: _mean(run, STEP_SECONDS)),
        measured("gen_seconds", "generation per step", "seconds", lambda run: _mean(run, "timing_s/gen")),
        measured("update_seconds", "update per step", "seconds", lambda run: _mean(run, "timing_s/update_actor")),
        measured("response_length", "tokens per response", "count", lambda run: _mean(run, "response_length/mean")),
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


def use_table(comparison: Comparison) -> Table:
    """Rollouts, tokens and groups generated, and how many were trained on; no columns where no log says."""
    filled = [
        method_column(),
        *_generated_and_trained("rollouts", GENERATED_ROLLOUTS, TRAINED_ROLLOUTS),
        *_generated_and_trained("tokens", GENERATED_TOKENS, TRAINED_TOKENS),
        measured("trained_over_informative", "trained / informative %", "share", _trained_over_informative),
        measured("discarded", "groups discarded", "count", partial(in_all, metric=DISCARDED)),
        measured("carried", "groups carried per step", "number", lambda run: _or_nan(over_tasks(run, CARRIED).values)),
        measured("age", "mean age, steps", "number", age_of_trained),
    ]
    remarks = (
        "Of the whole run. Tokens are response tokens. A group's rollouts and tokens count when it ends. A step that a "
        "log has lost counts as an average one.",
        "Trained / informative: groups trained on, of the groups that carry a gradient, or of all that ended where the "
        "sampler drops none. Discarded: such groups that nothing trains on. Carried: those that wait for the next "
        "step, mean over all steps. Age: steps from a group's launch to its training, mean over the groups trained "
        "on; 0: launched after the last update.",
        SPREAD,
    )
    title = "What was generated, and what of it was trained on"
    return without_empty(table_by_group("use", title, filled, comparison.groups, remarks))


def _generated_and_trained(unit: str, generated: Metric, trained: Metric) -> list[FilledColumn]:
    share = partial(share_of, part=trained, whole=generated)
    return [
        measured(generated.key, f"{unit} generated", "count", partial(in_all, metric=generated)),
        measured(trained.key, f"{unit} trained on", "count", partial(in_all, metric=trained)),
        measured(f"{trained.key}_share", f"{unit} trained on %", "share", share),
    ]


def _trained_over_informative(run: Run) -> float:
    return run.series(TRAINED_OVER_INFORMATIVE.name).last


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
