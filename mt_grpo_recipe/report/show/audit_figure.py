"""The audit of the mix as a picture: what the groups of each task ended as, and its share of tokens and gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mt_grpo_recipe.report.measure.audit import TaskAudit, audit
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.measure.groups import Group
from mt_grpo_recipe.report.show.style import FATE_COLORS, INK, TASK_MARKS

_OLIVE, _INDIGO = TASK_MARKS[7].color, TASK_MARKS[6].color
SHARES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("asked for", "asked", {"marker": "|", "color": INK, "markersize": 15, "markeredgewidth": 2}),
    ("of the tokens", "token_share", {"marker": "o", "color": _OLIVE, "markersize": 9, "markerfacecolor": "none"}),
    ("of the gradient", "gradient_share", {"marker": "D", "color": _INDIGO, "markersize": 5}),
)
"""Label, field of `TaskAudit` and look of a share; the marks can be told apart where they coincide."""


class Row(NamedTuple):
    """One task of one method: an audit per run, and the steps that it is over."""

    label: str
    audits: list[TaskAudit]
    steps: list[int]


def can_be_audited(comparison: Comparison) -> bool:
    """Whether some run's log says what came of its groups."""
    return bool(_rows(comparison, None))


def draw_audit(comparison: Comparison) -> Figure:
    """Groups per step by what they ended as, and shares: the whole run above, the last steps below."""
    rows = _rows(comparison, None)
    figure = Figure(figsize=(9.6, 1.9 + 0.56 * len(rows)), layout="constrained")
    grid = figure.subplots(2, 2, sharey=True, sharex="col", width_ratios=(3, 2))
    periods = (("whole run", None), (f"last {comparison.last} steps", comparison.last))
    for (groups, shares), (period, last) in zip(grid, periods, strict=True):
        shown = _rows(comparison, last)
        _draw_fates(groups, shown)
        _draw_shares(shares, shown)
        groups.set_title(f"Groups, {period}")
        shares.set_title(f"Shares, {period}")
        groups.set_yticks(range(len(shown)), [row.label for row in shown])
        groups.set_ylim(len(shown) - 0.4, -0.6)
    grid[1, 0].set_xlim(left=0)
    grid[1, 0].set_xlabel("groups generated per step")
    grid[1, 1].set_xlabel("share in %")
    grid[1, 1].set_xlim(-3, 103)
    patches = [Patch(color=color, label=fate) for fate, color in FATE_COLORS.items()]
    marks = [
        Line2D([], [], linestyle="", label=label, **{**look, "markersize": min(look["markersize"], 9)})
        for label, _, look in SHARES
    ]
    figure.legend(handles=[*patches, *marks], loc="outside lower center", ncols=5)
    return figure


def _rows(comparison: Comparison, last: int | None) -> list[Row]:
    """The tasks of every method with a log that says what came of the groups."""
    return [row for group in comparison.groups for row in _rows_of(comparison, group, last)]


def _rows_of(comparison: Comparison, group: Group, last: int | None) -> list[Row]:
    audits = [audit(run, last) for run in group.runs]
    steps = [len(run.train_steps[-last:] if last else run.train_steps) for run in group.runs]
    rows = []
    for task in comparison.trained_tasks:
        known = [
            (audited, count)
            for of_run, count in zip(audits, steps, strict=True)
            for audited in of_run
            if audited.task == task and audited.fates
        ]
        label = task if len(comparison.groups) == 1 else f"{group.name}: {task}"
        if known:
            rows.append(Row(label, [audited for audited, _ in known], [count for _, count in known]))
    return rows


def _draw_fates(axes: Axes, rows: Sequence[Row]) -> None:
    # Segments without a group would hold the axis back at the end of the longest bar.
    axes.use_sticky_edges = False
    left = np.zeros(len(rows))
    for fate, color in FATE_COLORS.items():
        per_step = np.array(
            [
                np.mean([audited.fates[fate] / count for audited, count in zip(row.audits, row.steps, strict=True)])
                for row in rows
            ]
        )
        axes.barh(range(len(rows)), per_step, left=left, color=color, height=0.62)
        left += per_step
    axes.grid(axis="y", visible=False)


def _draw_shares(axes: Axes, rows: Sequence[Row]) -> None:
    for _, field, look in SHARES:
        means = [100 * float(np.mean([getattr(audited, field) for audited in row.audits])) for row in rows]
        axes.plot(means, list(range(len(rows))), linestyle="", clip_on=False, **look)
    axes.grid(axis="y", visible=False)
