"""One run in one picture: weights, accuracies, zero-gradient rates, and shares asked for beside shares got."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.figure import Figure, SubFigure

from mt_grpo_recipe.metrics import BATCH_SHARE, TARGET_SHARE, WEIGHT, ZERO_GRAD_RATE
from mt_grpo_recipe.report.measure.accuracy import task_accuracy, worst_accuracy
from mt_grpo_recipe.report.measure.stats import running_mean
from mt_grpo_recipe.report.read.log import Run
from mt_grpo_recipe.report.show.axes import finish_panels, mean_width
from mt_grpo_recipe.report.show.style import INK, MUTED, Mark, styled, task_marks

PANELS_PER_ROW = 5


def run_title(run: Run) -> str:
    """Name of the run and how long it trained."""
    count = len(run.train_steps)
    return f"{run.name}: {count} training step{'' if count == 1 else 's'}"


def draw_run(run: Run, path: Path) -> Path:
    """Draw one run and write it, in the format that the suffix of the path names.

    Args:
        run: the run; what its log lacks is left empty in the picture.
        path: where to write; its directory is created if needed.

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
    figure.suptitle(run_title(run), x=0.01, ha="left", weight="bold", size=12)
    weights, accuracies, zero = figure.subplots(1, 3)
    for task, mark in marks.items():
        style = {"color": mark.color, "linestyle": mark.dash}
        weight = run.series(WEIGHT.of(task))
        weights.plot(weight.steps, weight.values, **style)
        accuracy = task_accuracy(run, task)
        # A marker at 0 is shown whole, across the axis; an empty line without clipping would upset the layout.
        clip = not len(accuracy.steps)
        accuracies.plot(accuracy.steps, accuracy.values, **style, marker=mark.marker, clip_on=clip, label=task)
        rate = run.series(ZERO_GRAD_RATE.of(task))
        zero.plot(rate.steps, rate.values, color=mark.color, alpha=0.25, linewidth=0.8)
        zero.plot(rate.steps, running_mean(rate.values, mean_width(run)), **style)
    worst = worst_accuracy(run)
    accuracies.plot(worst.steps, worst.values, color=INK, linewidth=5, alpha=0.18, label="worst task", zorder=1)
    weights.axhline(1 / max(len(marks), 1), color=MUTED, linewidth=0.8, linestyle=":")
    for axes, title, label in (
        (weights, "Task weight z", "share (dotted: uniform)"),
        (accuracies, "Validation accuracy", "right answers"),
        (zero, "Prompts without a gradient", f"share ({_means(run)})"),
    ):
        finish_panels([axes], [title], max(run.records), label, per_row=1)
    figure.legend(*accuracies.get_legend_handles_labels(), loc="outside lower center", ncols=5)


def _draw_shares(figure: SubFigure, run: Run, marks: dict[str, Mark], rows: int, columns: int) -> None:
    figure.suptitle("Share of the batch, asked for and got", x=0.01, ha="left", weight="bold", size=12)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(marks) :]:
        axes.set_visible(False)
    for axes, (task, mark) in zip(grid.flat, marks.items(), strict=False):
        target = run.series(TARGET_SHARE.of(task))
        batch = run.series(BATCH_SHARE.of(task))
        asked, got = running_mean(target.values, mean_width(run)), running_mean(batch.values, mean_width(run))
        axes.plot(batch.steps, batch.values, color=mark.color, alpha=0.25, linewidth=0.8)
        axes.plot(batch.steps, got, color=mark.color, linewidth=2.4, label=f"got ({_means(run)})")
        axes.plot(target.steps, asked, color=INK, linestyle="--", linewidth=1, label="asked for (same mean)")
    finish_panels(list(grid.flat[: len(marks)]), list(marks), max(run.records), "share of the batch", columns)
    if marks:
        figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _means(run: Run) -> str:
    width = mean_width(run)
    return "each step" if width == 1 else f"mean of {width} steps; faint: each"
