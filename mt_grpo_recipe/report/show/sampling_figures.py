"""Figures on what the sampler did: weights, shares, zero-gradient rates, cost."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mt_grpo_recipe.metrics import BATCH_SHARE, ROUNDS, TARGET_SHARE, WEIGHT, ZERO_GRAD_RATE, Metric
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.measure.cost import prompts_per_step
from mt_grpo_recipe.report.measure.groups import Group
from mt_grpo_recipe.report.measure.shares import largest_deviation
from mt_grpo_recipe.report.measure.stats import mean_curve, running_mean
from mt_grpo_recipe.report.read.joining import STEP_SECONDS
from mt_grpo_recipe.report.read.log import Run, Series
from mt_grpo_recipe.report.show.axes import (
    PANELS_PER_ROW,
    add_legend,
    draw_curve,
    finish_panels,
    mean_width,
    over_steps,
    panels,
)
from mt_grpo_recipe.report.show.style import INK, MUTED, method_marks


def draw_weights(comparison: Comparison) -> Figure:
    """Weight z over steps: one panel per task."""
    figure = _task_panels(comparison, WEIGHT, "task weight z", smooth=False)
    for axes in figure.axes:
        axes.axhline(1 / max(len(comparison.trained_tasks), 1), color=MUTED, linewidth=0.8, linestyle=":")
    return figure


def draw_zero_gradient(comparison: Comparison) -> Figure:
    """Share of the generated prompts without a gradient over steps: one panel per task."""
    return _task_panels(comparison, ZERO_GRAD_RATE, "zero-gradient prompts", smooth=True)


def draw_shares(comparison: Comparison, group: Group) -> Figure:
    """One method's shares of the batch, asked for and got, over steps: one panel per task."""
    tasks = [task for task in comparison.trained_tasks if any(task in run.trained_tasks for run in group.runs)]
    figure, grid = panels(tasks, height=1.9)
    got_style = {"color": method_marks(comparison.groups)[group.name].color, "linewidth": 3, "alpha": 0.6}
    asked_style = {"color": INK, "linestyle": "--", "linewidth": 1}
    width = _width(group)
    for axes, task in zip(grid, tasks, strict=True):
        got = mean_curve([run.series(BATCH_SHARE.of(task)) for run in group.runs])
        asked = mean_curve([run.series(TARGET_SHARE.of(task)) for run in group.runs])
        axes.plot(got.steps, running_mean(got.mean, width), **got_style)
        axes.plot(asked.steps, running_mean(asked.mean, width), **asked_style)
    finish_panels(grid, tasks, comparison.last_step, "share of the batch", PANELS_PER_ROW)
    lines = [
        (f"{group.name}: got", Line2D([], [], **got_style)),
        ("asked for", Line2D([], [], **asked_style)),
    ]
    add_legend(figure, {}, lines)
    return figure


def draw_cost(comparison: Comparison) -> Figure:
    """Gap between shares asked for and got, rounds, prompts and seconds of each step."""
    shown: list[tuple[str, str, Callable[[Run], Series]]] = [
        ("Largest gap, asked for to got", "percentage points", lambda run: _scaled(largest_deviation(run), 100)),
        ("Rounds of generation", "rounds per step", lambda run: run.series(ROUNDS.name)),
        ("Prompts generated", "prompts per step", prompts_per_step),
        ("Time", "seconds per step", lambda run: run.series(STEP_SECONDS)),
    ]
    figure = Figure(figsize=(9.6, 5), layout="constrained")
    for axes, (title, label, series) in zip(figure.subplots(2, 2, sharex=True).flat, shown, strict=True):
        _draw_groups(axes, comparison, series, smooth=True)
        axes.set_title(title)
        axes.set_ylabel(label)
        over_steps(axes, comparison.last_step)
    for axes in figure.axes[:2]:
        axes.set_xlabel("")
    add_legend(figure, method_marks(comparison.groups))
    return figure


def _task_panels(comparison: Comparison, metric: Metric, label: str, smooth: bool) -> Figure:
    tasks = comparison.trained_tasks
    figure, grid = panels(tasks)
    for axes, task in zip(grid, tasks, strict=True):
        _draw_groups(axes, comparison, lambda run, task=task: run.series(metric.of(task)), smooth)
    finish_panels(grid, tasks, comparison.last_step, label, PANELS_PER_ROW)
    add_legend(figure, method_marks(comparison.groups))
    return figure


def _draw_groups(axes: Axes, comparison: Comparison, series: Callable[[Run], Series], smooth: bool) -> None:
    marks = method_marks(comparison.groups)
    for group in comparison.groups:
        curve = mean_curve([series(run) for run in group.runs])
        mark = marks[group.name]
        if smooth:
            draw_curve(axes, curve.steps, running_mean(curve.mean, _width(group)), None, mark)
        else:
            draw_curve(axes, curve.steps, curve.mean, curve.sd, mark)


def _scaled(series: Series, factor: float) -> Series:
    return Series(series.steps, series.values * factor)


def _width(group: Group) -> int:
    return max(mean_width(run) for run in group.runs)
