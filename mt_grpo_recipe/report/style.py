"""How figures look: colours that colour-blind readers can tell apart, line styles that print, sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray

INK, MUTED, GRID, PAPER = "#1f2328", "#656d76", "#d8dee4", "#ffffff"


@dataclass(frozen=True)
class Mark:
    """How a line is drawn. Colour, dash and marker differ together, so that none has to carry the meaning alone."""

    color: str
    dash: str | tuple[int, tuple[int, ...]] = "-"
    marker: str = "o"


_SOLID, _LONG, _DOTS, _MIXED = "-", (0, (6, 2)), (0, (1, 1)), (0, (5, 1, 1, 1))
# Colours of Okabe and Ito, and of Paul Tol.
_BLUE, _SKY, _GREEN, _ORANGE, _RED = "#0072b2", "#56b4e9", "#009e73", "#d98e00", "#d55e00"
_PINK, _WINE, _OLIVE, _INDIGO, _TEAL, _GREY = "#cc79a7", "#882255", "#8a8a1f", "#332288", "#44aa99", "#767676"

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
    """Draw with this look; settings of the caller's come back afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def task_marks(tasks: Sequence[str]) -> dict[str, Mark]:
    """A mark for each task, by its place; they come round again after nine."""
    return {task: TASK_MARKS[i % len(TASK_MARKS)] for i, task in enumerate(tasks)}


def running_mean(values: FloatArray, width: int) -> FloatArray:
    """Mean over the last `width` values at each place (fewer at the start), shape as given: (n,). NaN are passed over.

    It looks back only, so that a line never shows what had not happened yet.
    """
    windows = [values[max(0, i + 1 - width) : i + 1] for i in range(len(values))]
    return np.array([np.nanmean(w) if np.isfinite(w).any() else np.nan for w in windows], dtype=np.float64)
