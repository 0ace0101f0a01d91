"""How figures look: colours that colour-blind readers can tell apart, line styles that print, sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

from mt_grpo_recipe.report.measure.groups import Group

INK, MUTED, GRID, PAPER = "#1f2328", "#656d76", "#d8dee4", "#ffffff"


@dataclass(frozen=True)
class Mark:
    """How a line is drawn. Colour, dash and marker differ together, so that none has to carry the meaning alone."""

    color: str
    dash: tuple[int, tuple[int, ...]] = (0, ())
    marker: str = "o"


_SOLID, _LONG, _DOTS, _MIXED = (0, ()), (0, (6, 2)), (0, (1, 1)), (0, (5, 1, 1, 1))
# Colours of Okabe and Ito, and of Paul Tol, the lightest of them darkened until they stand out from white.
_BLUE, _SKY, _GREEN, _ORANGE, _RED = "#0072b2", "#3399d1", "#009e73", "#c98200", "#d55e00"
_PINK, _WINE, _OLIVE, _INDIGO, _TEAL, _GREY = "#cc79a7", "#882255", "#8a8a1f", "#332288", "#3a9a8c", "#767676"

TASK_MARKS = (
    Mark(_BLUE, _SOLID, "o"),
    Mark(_RED, _SOLID, "s"),
    Mark(_GREEN, _SOLID, "^"),
    Mark(_PINK, _LONG, "D"),
    Mark(_SKY, _LONG, "v"),
    Mark(_ORANGE, _LONG, "P"),
    Mark(_INDIGO, _MIXED, "X"),
    Mark(_OLIVE, _MIXED, "<"),
    Mark(_GREY, _MIXED, ">"),
)

METHOD_MARKS = {
    "grpo": Mark(_GREY, _LONG, "o"),
    "sec_grpo": Mark(_GREEN, _LONG, "^"),
    "dapo": Mark(_ORANGE, _SOLID, "s"),
    "sec_dapo": Mark(_PINK, _MIXED, "v"),
    "grpo_iwu": Mark(_WINE, _DOTS, "<"),
    "grpo_rps": Mark(_OLIVE, _DOTS, ">"),
    "mt_grpo": Mark(_BLUE, _SOLID, "D"),
    "mt_grpo_reg": Mark(_SKY, _LONG, "P"),
    "mt_grpo_stream": Mark(_RED, _MIXED, "X"),
    "mt_grpo_lean": Mark(_TEAL, _SOLID, "*"),
}
"""How each shipped method is drawn."""

FATE_COLORS = {
    "trained on": _BLUE,
    "informative, not trained on": "#8fc7ea",
    "all right": _GREEN,
    "all wrong": _RED,
    "all alike": _ORANGE,
    "failed": _WINE,
    "not ended": _GREY,
}
"""How groups are drawn by what they ended as, in the order of a bar."""

SPARE_MARKS = (
    Mark(_INDIGO, _SOLID, "h"),
    Mark("#aa4499", _LONG, "p"),
    Mark("#117733", _MIXED, "d"),
    Mark("#a0522d", _DOTS, "8"),
)

DARK = {
    INK: "#e6edf3",
    MUTED: "#8d96a0",
    GRID: "#30363d",
    PAPER: "#0d1117",
    _BLUE: "#3d8bff",
    _SKY: "#8fdcff",
    _PINK: "#f0b0d4",
    _GREEN: "#2fc49b",
    _ORANGE: "#f0ae3c",
    _RED: "#f27c38",
    _WINE: "#c2457f",
    _OLIVE: "#c2c252",
    _INDIGO: "#8f84e8",
    _GREY: "#a0a0a0",
    "#aa4499": "#d07ac4",
    "#117733": "#4fb873",
    "#a0522d": "#d08a63",
    "#8fc7ea": "#2b5a86",
}
"""What replaces each colour on a dark page, lighter and as far apart; teal serves on both."""

RC: Any = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
    "lines.markersize": 4,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "svg.fonttype": "none",
    "svg.hashsalt": "mt-grpo",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style; the caller's settings are restored afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def task_marks(tasks: Sequence[str]) -> dict[str, Mark]:
    """A mark for each task, by its place; they repeat after nine."""
    return {task: TASK_MARKS[i % len(TASK_MARKS)] for i, task in enumerate(tasks)}


def method_marks(groups: Sequence[Group]) -> dict[str, Mark]:
    """A mark for each group, by its name.

    A shipped method has its own mark in every figure and every report. Its further groups, and the user's own methods,
    take spare ones in turn.
    """
    marks: dict[str, Mark] = {}
    taken: set[str] = set()
    spare = 0
    for group in groups:
        if group.method in METHOD_MARKS and group.method not in taken:
            marks[group.name] = METHOD_MARKS[group.method]
            taken.add(group.method)
        else:
            marks[group.name] = SPARE_MARKS[spare % len(SPARE_MARKS)]
            spare += 1
    return marks
