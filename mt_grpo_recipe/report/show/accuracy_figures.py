"""Figures on how well the methods do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mt_grpo_recipe.report.measure.accuracy import mean_accuracy, relative_change, task_accuracy, worst_accuracy
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.measure.cost import PROMPTS, ROLLOUTS, TIME, TOKENS, Cost, seconds_spent
from mt_grpo_recipe.report.measure.groups import over_runs
from mt_grpo_recipe.report.measure.stats import Stat, mean_curve
from mt_grpo_recipe.report.read.log import Run
from mt_grpo_recipe.report.show.axes import (
    PANELS_PER_ROW,
    add_legend,
    draw_curve,
    finish_panels,
    over_amount,
    over_steps,
    panels,
    percent_axis,
)
from mt_grpo_recipe.report.show.style import MUTED, method_marks
from mt_grpo_recipe.report.show.tables import Kind, show


def draw_final(comparison: Comparison) -> Figure:
    """Final worst-task and average accuracy of each method, and its change against the baseline: one row per method."""
    base = comparison.baseline_accuracies
    shown: list[tuple[str, Kind, list[Stat]]] = [
        ("Worst task, final", "share", [over_runs(g, lambda run: worst_accuracy(run).last) for g in comparison.groups]),
        ("Average, final", "share", [over_runs(g, lambda run: mean_accuracy(run).last) for g in comparison.groups]),
    ]
    if comparison.baseline:
        changes = [over_runs(g, lambda run: relative_change(run, base)) for g in comparison.groups]
        shown.append((f"Change vs {comparison.baseline.name}", "change", changes))
    figure = Figure(figsize=(9.6, 1.4 + 0.34 * len(comparison.groups)), layout="constrained")
    rows = np.arange(len(comparison.groups))[::-1]
    for axes, (title, kind, stats) in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        _draw_points(axes, comparison, stats, kind)
        axes.set_title(title)
        axes.set_yticks(rows, [group.name for group in comparison.groups])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.25)
        if kind == "change":
            axes.set_xlabel("average relative change in %")
            axes.axvline(0, color=MUTED, linewidth=0.8, linestyle=":")
        else:
            axes.set_xlabel("validation accuracy in %")
            # Room for the numbers at the right of the points.
            reach = [100 * (stat.mean + _spread(stat)) for stat in stats if stat.n]
            axes.set_xlim(0, 1.35 * max([*reach, 0.01]))
    return figure


def _draw_points(axes: Axes, comparison: Comparison, stats: list[Stat], kind: Kind) -> None:
    """Draw one point per method from the top down, with its deviation and its number."""
    scale, marks = 1 if kind == "change" else 100, method_marks(comparison.groups)
    for place, (group, stat) in enumerate(zip(comparison.groups, stats, strict=True)):
        mark, row, spread = marks[group.name], len(stats) - 1 - place, _spread(stat) * scale
        style = {"color": mark.color, "marker": mark.marker, "markersize": 7, "capsize": 3}
        axes.errorbar(stat.mean * scale, row, xerr=spread or None, **style)
        if stat.n:
            text = show(Stat(stat.mean, math.nan, 1, 1), kind)
            axes.annotate(text, (stat.mean * scale + spread, row), (8, 0), textcoords="offset points", va="center")


def _spread(stat: Stat) -> float:
    """Standard deviation, 0 where there is none to draw."""
    return 0.0 if math.isnan(stat.sd) else stat.sd


def costs_of_courses(comparison: Comparison) -> tuple[Cost, ...]:
    """What accuracy is drawn over, beside steps: prompts only for logs that do not have rollouts and tokens."""
    known = [ROLLOUTS.known(run) for run in comparison.runs]
    counted = (ROLLOUTS, TOKENS) if any(known) else ()
    return (TIME, *counted) if all(known) else (TIME, PROMPTS, *counted)


def draw_courses(comparison: Comparison) -> Figure:
    """Worst-task and average accuracy over steps, and over each of `costs_of_courses`."""
    costs = costs_of_courses(comparison)
    scale, unit = _time_scale(comparison)
    marks = method_marks(comparison.groups)
    spenders: list[tuple[Cost | None, float, str]] = [
        (None, 1, "training step"),
        (TIME, scale, f"time of training in {unit}"),
        *((cost, 1, f"{cost.unit} generated") for cost in costs if cost is not TIME),
    ]
    # Room for three panels in a row; more make the figure wider, by less than a panel each.
    figure = Figure(figsize=(9.6 + 1.8 * (len(spenders) - 3), 5.4), layout="constrained")
    grid = figure.subplots(2, len(spenders), sharey="row", sharex="col")
    kinds = [("Worst task", worst_accuracy), ("Average", mean_accuracy)]
    for row, (title, accuracy) in enumerate(kinds):
        for column, (cost, divisor, label) in enumerate(spenders):
            axes = grid[row, column]
            for group in comparison.groups:
                runs = [run for run in group.runs if cost is None or cost.known(run)]
                curve = mean_curve([accuracy(run) for run in runs])
                x = curve.steps if cost is None else _mean_spent(runs, cost, curve.steps) / divisor
                if len(x) == len(curve.steps):
                    draw_curve(axes, x, curve.mean, curve.sd, marks[group.name], markers=True)
            percent_axis(axes)
            if cost is None:
                over_steps(axes, comparison.last_step)
            else:
                over_amount(axes, label)
            if row == 0:
                axes.set_xlabel("")
        grid[row, 0].set_title(title)
        grid[row, 0].set_ylabel("validation accuracy")
    add_legend(figure, marks)
    return figure


def _mean_spent(runs: Sequence[Run], cost: Cost, steps: np.ndarray) -> np.ndarray:
    """Mean over the runs of what was spent by each step; its length differs from `steps` where a run does not say."""
    return mean_curve([cost.spent(run).at(steps) for run in runs]).mean


def _time_scale(comparison: Comparison) -> tuple[float, str]:
    longest = max((s.last for run in comparison.runs if len((s := seconds_spent(run)).steps)), default=0.0)
    return (1.0, "seconds") if longest < 300 else (60.0, "minutes") if longest < 3 * 3600 else (3600.0, "hours")


def draw_tasks(comparison: Comparison) -> Figure:
    """Validation accuracy over steps: one panel per task."""
    figure, grid = panels(comparison.tasks)
    marks = method_marks(comparison.groups)
    for axes, task in zip(grid, comparison.tasks, strict=True):
        for group in comparison.groups:
            curve = mean_curve([task_accuracy(run, task) for run in group.runs])
            draw_curve(axes, curve.steps, curve.mean, curve.sd, marks[group.name], markers=True)
    titles = [f"{task} (held out)" if task in comparison.held_out else task for task in comparison.tasks]
    finish_panels(grid, titles, comparison.last_step, "validation accuracy", PANELS_PER_ROW)
    add_legend(figure, marks)
    return figure
