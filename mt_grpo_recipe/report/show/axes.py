"""Axes that the figures have in common: shares in per cent over steps, methods in their colours, panels in rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.report.read.log import Run
from mt_grpo_recipe.report.show.style import Mark

PANELS_PER_ROW = 3


def mean_width(run: Run) -> int:
    """Steps that a drawn mean spans: enough to read a noisy share, short compared with the run."""
    return max(1, min(50, len(run.train_steps) // 12))


def percent_axis(axes: Axes) -> None:
    """Write shares between 0 and 1 on y in per cent."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.4g}%"))


def _from_zero(axes: Axes) -> None:
    """Let y start at 0, and leave a margin above the highest value."""
    # The margin is a share of the data's range, so 0 must be in it, or a level line would lie at the very top.
    axes.update_datalim([(0, 0)], updatex=False)
    axes.autoscale_view(scalex=False)
    axes.set_ylim(bottom=0)


def over_steps(axes: Axes, last_step: int) -> None:
    """Make x the training steps up to `last_step`, and let y start at 0.

    Call it once all axes that share y are drawn: it fixes the limits.
    """
    axes.set_xlabel("training step")
    _from_zero(axes)
    axes.set_xlim(-0.03 * max(last_step, 1), 1.03 * max(last_step, 1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))


def over_amount(axes: Axes, label: str) -> None:
    """Make x an amount spent, written short: 20k for 20,000, 3M for 3,000,000."""
    axes.set_xlabel(label)
    _from_zero(axes)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _short(x)))


def _short(amount: float) -> str:
    unit, suffix = next(((u, s) for u, s in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if abs(amount) >= u), (1, ""))
    return f"{amount / unit:g}{suffix}"


def draw_curve(
    axes: Axes, x: FloatArray | IntArray, mean: FloatArray, sd: FloatArray | None, mark: Mark, markers: bool = False
) -> None:
    """Draw a method's line, and around it a band of one standard deviation where there is one; all of shape (n,)."""
    if not len(x):
        return
    marker, every = mark.marker if markers else "", max(1, len(x) // 12)
    # A marker at 0 is shown whole, across the axis.
    axes.plot(
        x, mean, color=mark.color, linestyle=mark.dash, marker=marker, markevery=every, clip_on=not markers, zorder=3
    )
    if sd is not None and np.isfinite(sd).any():
        axes.fill_between(x, mean - sd, mean + sd, color=mark.color, alpha=0.15, linewidth=0)


def panels(names: Sequence[str], height: float = 2.4) -> tuple[Figure, list[Axes]]:
    """A figure with one panel per name, `PANELS_PER_ROW` in a row, all on the same scale."""
    columns = PANELS_PER_ROW
    rows = max(1, math.ceil(len(names) / columns))
    figure = Figure(figsize=(9.6, 0.7 + height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for index, axes in enumerate(grid.flat):
        axes.set_visible(index < len(names))
    return figure, list(grid.flat[: len(names)])


def finish_panels(drawn: Sequence[Axes], titles: Sequence[str], last_step: int, label: str, per_row: int) -> None:
    """Title and label panels of shares over steps once all are drawn.

    Labels stay at the outer edge only, and numbers below a column's lowest panel.
    """
    for index, (axes, title) in enumerate(zip(drawn, titles, strict=True)):
        over_steps(axes, last_step)
        percent_axis(axes)
        axes.set_title(title)
        axes.set_ylabel("" if index % per_row else label)
        if index + per_row < len(drawn):
            axes.set_xlabel("")
        else:
            axes.tick_params(labelbottom=True)


def add_legend(figure: Figure, marks: dict[str, Mark], more: Iterable[tuple[str, Line2D]] = ()) -> None:
    """One legend below all panels: the methods, then `more`."""
    entries = [
        (name, Line2D([], [], color=mark.color, linestyle=mark.dash, marker=mark.marker))
        for name, mark in marks.items()
    ]
    entries += more
    figure.legend([line for _, line in entries], [name for name, _ in entries], loc="outside lower center", ncols=5)
