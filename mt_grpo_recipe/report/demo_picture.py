"""One run in one picture: weights, accuracies, zero-gradient rates, and shares asked for beside shares got."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mt_grpo_recipe.metrics import task_metric
from mt_grpo_recipe.report.accuracy import task_accuracy, worst_accuracy
from mt_grpo_recipe.report.log import Run
from mt_grpo_recipe.report.style import INK, MUTED, Mark, running_mean, styled, task_marks

PANELS_PER_ROW = 5


def draw_run(run: Run, path: Path) -> Path:
    """Draw one run and write it as PNG.

    Args:
        run: the run; what its log lacks is left empty in the picture.
        path: where to write; its directory is made if need be.

    Returns:
        `path`.
    """
    marks = task_marks(run.tasks)
    columns = min(max(len(run.tasks), 3), PANELS_PER_ROW)
    rows = max(1, math.ceil(len(run.tasks) / columns))
    with styled():
        figure = Figure(figsize=(11, 4.5 + 2 * rows), layout="constrained")
        grid = figure.add_gridspec(2, 1, height_ratios=[3.9, 0.6 + 2 * rows])
        upper, lower = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
        _draw_courses(upper, run, marks)
        _draw_shares(lower, run, marks, rows, columns)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=140)
    return path


def _draw_courses(figure: SubFigure, run: Run, marks: dict[str, Mark]) -> None:
    figure.suptitle(f"{run.name}: {len(run.train_steps)} training steps", x=0.01, ha="left", weight="bold", size=12)
    weights, accuracies, zero = figure.subplots(1, 3)
    for task, mark in marks.items():
        style = {"color": mark.color, "linestyle": mark.dash}
        weight = run.series(task_metric("weight", task))
        weights.plot(weight.steps, weight.values, **style)
        accuracy = task_accuracy(run, task)
        accuracies.plot(accuracy.steps, accuracy.values, **style, marker=mark.marker, label=task)
        rate = run.series(task_metric("zero_grad_rate", task))
        zero.plot(rate.steps, rate.values, color=mark.color, alpha=0.25, linewidth=0.8)
        zero.plot(rate.steps, running_mean(rate.values, _width(run)), **style)
    worst = worst_accuracy(run)
    accuracies.plot(worst.steps, worst.values, color=INK, linewidth=5, alpha=0.18, label="worst task", zorder=1)
    weights.axhline(1 / max(len(marks), 1), color=MUTED, linewidth=0.8, linestyle=":")
    last_step = max(run.records)
    _percent_over_steps(weights, last_step, "Task weight z", "share (dotted: uniform)")
    _percent_over_steps(accuracies, last_step, "Validation accuracy", "right answers")
    _percent_over_steps(zero, last_step, "Prompts without a gradient", f"share ({_means(run)})")
    figure.legend(*accuracies.get_legend_handles_labels(), loc="outside lower center", ncols=5)


def _draw_shares(figure: SubFigure, run: Run, marks: dict[str, Mark], rows: int, columns: int) -> None:
    figure.suptitle("Share of the batch, asked for and got", x=0.01, ha="left", weight="bold", size=12)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(marks) :]:
        axes.set_visible(False)
    for axes, (task, mark) in zip(grid.flat, marks.items(), strict=False):
        target = run.series(task_metric("target_share", task))
        batch = run.series(task_metric("batch_share", task))
        asked, got = running_mean(target.values, _width(run)), running_mean(batch.values, _width(run))
        axes.plot(batch.steps, batch.values, color=mark.color, alpha=0.25, linewidth=0.8)
        axes.plot(batch.steps, got, color=mark.color, linewidth=2.4, label=f"got ({_means(run)})")
        axes.plot(target.steps, asked, color=INK, linestyle="--", linewidth=1, label="asked for (same mean)")
    for index, (axes, task) in enumerate(zip(grid.flat, marks, strict=False)):
        _percent_over_steps(axes, max(run.records), task, "share of the batch" if index % columns == 0 else "")
        # With shared axes only the lowest panel of a column has numbers below it.
        lowest = index + columns >= len(marks)
        axes.tick_params(labelbottom=lowest)
        axes.set_xlabel("training step" if lowest else "")
    if marks:
        figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _width(run: Run) -> int:
    """Steps that a drawn mean spans: enough to read a noisy share, short beside the run."""
    return max(1, min(20, len(run.train_steps) // 12))


def _means(run: Run) -> str:
    width = _width(run)
    return "each step" if width == 1 else f"mean of {width} steps; faint: each"


def _percent_over_steps(axes: Axes, last_step: int, title: str, label: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("training step")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.set_xlim(-0.03 * max(last_step, 1), 1.03 * max(last_step, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
