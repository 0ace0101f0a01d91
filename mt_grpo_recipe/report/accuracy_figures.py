"""Figures on how well the methods do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from mt_grpo_recipe.report.accuracy import mean_accuracy, task_accuracy, worst_accuracy
from mt_grpo_recipe.report.axes import (
    PANELS_PER_ROW,
    add_legend,
    draw_curve,
    finish_panels,
    over_amount,
    over_steps,
    panels,
    percent_axis,
)
from mt_grpo_recipe.report.comparison import Comparison
from mt_grpo_recipe.report.cost import at_steps, prompts_spent, seconds_spent
from mt_grpo_recipe.report.groups import Group, over_runs
from mt_grpo_recipe.report.log import Run, Series
from mt_grpo_recipe.report.measures import relative_change
from mt_grpo_recipe.report.stats import Stat, mean_curve
from mt_grpo_recipe.report.style import MUTED
from mt_grpo_recipe.report.tables import show


def draw_final(comparison: Comparison) -> Figure:
    """Final worst-task and average accuracy of each method, and its change against the baseline: one row a method."""
    base = comparison.baseline_accuracies
    shown: list[tuple[str, list[Stat], float]] = [
        ("Worst task, final", [over_runs(g, lambda run: worst_accuracy(run).last) for g in comparison.groups], 100),
        ("Average, final", [over_runs(g, lambda run: mean_accuracy(run).last) for g in comparison.groups], 100),
    ]
    if comparison.baseline:
        changes = [over_runs(g, lambda run: relative_change(run, base)) for g in comparison.groups]
        shown.append((f"Change vs {comparison.baseline.name}", changes, 1))
    figure = Figure(figsize=(9.6, 1.4 + 0.34 * len(comparison.groups)), layout="constrained")
    rows = np.arange(len(comparison.groups))[::-1]
    for axes, (title, stats, scale) in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        for row, group, stat in zip(rows, comparison.groups, stats, strict=True):
            mark = comparison.marks[group.name]
            spread = 0.0 if math.isnan(stat.sd) else stat.sd * scale
            axes.errorbar(
                stat.mean * scale,
                row,
                xerr=spread or None,
                color=mark.color,
                marker=mark.marker,
                markersize=7,
                capsize=3,
            )
            if stat.n:
                text = show(Stat(stat.mean, math.nan, 1, 1), "change" if scale == 1 else "share")
                axes.annotate(text, (stat.mean * scale + spread, row), (8, 0), textcoords="offset points", va="center")
        axes.set_title(title)
        axes.set_yticks(rows, [group.name for group in comparison.groups])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.25)
        if scale == 1:
            axes.set_xlabel("average relative change in %")
            axes.axvline(0, color=MUTED, linewidth=0.8, linestyle=":")
        else:
            axes.set_xlabel("validation accuracy in %")
            # Room for the numbers at the right of the points.
            reach = [scale * (stat.mean + (0 if math.isnan(stat.sd) else stat.sd)) for stat in stats if stat.n]
            axes.set_xlim(0, 1.35 * max([*reach, 0.01]))
    return figure


def draw_courses(comparison: Comparison) -> Figure:
    """Worst-task and average accuracy over steps, over time, and over prompts generated."""
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    grid = figure.subplots(2, 3, sharey="row", sharex="col")
    scale, unit = _time_scale(comparison)
    spenders: list[tuple[Callable[[Run], Series] | None, float, str]] = [
        (None, 1, "training step"),
        (seconds_spent, scale, f"time of training in {unit}"),
        (prompts_spent, 1, "prompts generated"),
    ]
    kinds = [("Worst task", worst_accuracy), ("Average", mean_accuracy)]
    for row, (title, accuracy) in enumerate(kinds):
        for column, (spent, divisor, label) in enumerate(spenders):
            axes = grid[row, column]
            for group in comparison.groups:
                curve = mean_curve([accuracy(run) for run in group.runs])
                x = curve.steps if spent is None else _mean_spent(group, spent, curve.steps) / divisor
                if len(x) == len(curve.steps):
                    draw_curve(axes, x, curve.mean, curve.sd, comparison.marks[group.name], markers=True)
            percent_axis(axes)
            if spent is None:
                over_steps(axes, comparison.last_step)
            else:
                over_amount(axes, label)
            if row == 0:
                axes.set_xlabel("")
        grid[row, 0].set_title(title)
        grid[row, 0].set_ylabel("validation accuracy")
    add_legend(figure, comparison.marks)
    return figure


def _mean_spent(group: Group, spent: Callable[[Run], Series], steps: np.ndarray) -> np.ndarray:
    """Mean over the runs of what was spent by each step; of another length than `steps` where a run does not say."""
    curve = mean_curve([at_steps(spent(run), steps) for run in group.runs])
    return curve.mean


def _time_scale(comparison: Comparison) -> tuple[float, str]:
    longest = max((s.last for run in comparison.runs if len((s := seconds_spent(run)).steps)), default=0.0)
    return (1.0, "seconds") if longest < 300 else (60.0, "minutes") if longest < 3 * 3600 else (3600.0, "hours")


def draw_tasks(comparison: Comparison) -> Figure:
    """Validation accuracy over steps: a panel a task."""
    figure, grid = panels(comparison.tasks)
    for axes, task in zip(grid, comparison.tasks, strict=True):
        for group in comparison.groups:
            curve = mean_curve([task_accuracy(run, task) for run in group.runs])
            draw_curve(axes, curve.steps, curve.mean, curve.sd, comparison.marks[group.name], markers=True)
    titles = [f"{task} (held out)" if task in comparison.held_out else task for task in comparison.tasks]
    finish_panels(grid, titles, comparison.last_step, "validation accuracy", PANELS_PER_ROW)
    add_legend(figure, comparison.marks)
    return figure
