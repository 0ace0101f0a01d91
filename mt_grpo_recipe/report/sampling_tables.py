"""Tables on what the sampler did: weights, shares, rounds, prompts, time; and on the runs themselves."""

from __future__ import annotations

import math

from mt_grpo_recipe.metrics import PREFIX, ROUNDS, task_metric
from mt_grpo_recipe.report.comparison import Comparison
from mt_grpo_recipe.report.cost import prompts_per_step, prompts_spent, seconds_spent
from mt_grpo_recipe.report.groups import Group, over_runs
from mt_grpo_recipe.report.joining import STEP_SECONDS
from mt_grpo_recipe.report.log import Run
from mt_grpo_recipe.report.measures import share_deviation
from mt_grpo_recipe.report.stats import Stat
from mt_grpo_recipe.report.tables import SPREAD, Cell, Column, Table, without_empty


def sampling_table(comparison: Comparison) -> Table:
    """Weights, shares asked for and got, and what was filtered, by method and task."""
    columns = (
        Column("method", "method"),
        Column("task", "task"),
        Column("weight", "weight %", "share"),
        Column("target_share", "asked for %", "share"),
        Column("batch_share", "got %", "share"),
        Column("mean_deviation", "mean gap, points", "share"),
        Column("largest_deviation", "largest gap, points", "share"),
        Column("zero_grad_rate", "zero-gradient %", "share"),
        Column("generated", "prompts a step", "count"),
        Column("shortfall", "missing a step", "number"),
        Column("loss_weight", "loss weight", "number"),
    )
    rows: list[tuple[Cell, ...]] = []
    for group in comparison.groups:
        for task in comparison.tasks:
            if not any(task in run.trained_tasks for run in group.runs):
                continue
            gaps = [share_deviation(run, task).values for run in group.runs]
            largest = max((float(g.max()) for g in gaps if len(g)), default=math.nan)
            rows.append(
                (
                    group.name,
                    task,
                    _late(comparison, group, task, "weight"),
                    _late(comparison, group, task, "target_share"),
                    _late(comparison, group, task, "batch_share"),
                    Stat.of(float(g.mean()) if len(g) else None for g in gaps),
                    Stat.of([largest]),
                    _late(comparison, group, task, "zero_grad_rate"),
                    _late(comparison, group, task, "generated"),
                    _late(comparison, group, task, "shortfall"),
                    _late(comparison, group, task, "loss_weight"),
                )
            )
    remarks = (
        f"Means over the last {comparison.last} steps; gaps are over all steps, and the largest is over all runs too.",
        "Asked for: the quota of the step as a share of the batch. Got: the share of the batch trained on. Gap: the "
        "distance between the two in one step. Zero-gradient: generated prompts whose rollouts carry no signal. "
        "Missing: prompts by which a task's quota was not met.",
        SPREAD,
    )
    return without_empty(Table("sampling", "What each task was given", columns, tuple(rows), remarks))


def _late(comparison: Comparison, group: Group, task: str, name: str) -> Stat:
    return over_runs(group, lambda run: run.late_mean(task_metric(name, task), comparison.last))


def cost_table(comparison: Comparison) -> Table:
    """Rounds, prompts and time of a step, and of the whole run."""
    columns = (
        Column("method", "method"),
        Column("rounds", "rounds a step", "number"),
        Column("prompts", "prompts a step", "count"),
        Column("step_seconds", "time a step", "seconds"),
        Column("gen_seconds", "generation a step", "seconds"),
        Column("update_seconds", "update a step", "seconds"),
        Column("response_length", "tokens a response", "count"),
        Column("total_prompts", "prompts in all", "count"),
        Column("total_seconds", "time in all", "seconds"),
        Column("failed_groups", "failed groups in all", "count"),
        Column("skipped_updates", "skipped updates in all", "count"),
    )
    rows = [
        (
            group.name,
            over_runs(group, lambda run: _mean(run, ROUNDS)),
            over_runs(group, lambda run: _or_nan(prompts_per_step(run).values)),
            over_runs(group, lambda run: _mean(run, STEP_SECONDS)),
            over_runs(group, lambda run: _mean(run, "timing_s/gen")),
            over_runs(group, lambda run: _mean(run, "timing_s/update_actor")),
            over_runs(group, lambda run: _mean(run, "response_length/mean")),
            over_runs(group, lambda run: prompts_spent(run).last),
            over_runs(group, lambda run: seconds_spent(run).last),
            over_runs(group, lambda run: _sum(run, f"{PREFIX}/failed_groups")),
            over_runs(group, lambda run: _sum(run, f"{PREFIX}/skipped_update")),
        )
        for group in comparison.groups
    ]
    remarks = (
        "Means over all steps. Time is training alone, without validation. A step that a log has lost counts as an "
        "average one.",
        SPREAD,
    )
    return without_empty(Table("cost", "What it cost", columns, tuple(rows), remarks))


def _mean(run: Run, metric: str) -> float:
    return _or_nan(run.series(metric).values)


def _sum(run: Run, metric: str) -> float:
    values = run.series(metric).values
    return float(values.sum()) if len(values) else math.nan


def _or_nan(values) -> float:
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
