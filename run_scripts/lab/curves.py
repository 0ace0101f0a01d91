"""Draw the comparison at equal rollouts: worst task and average over what a run has spent.

    python run_scripts/lab/curves.py -o run_scripts/mini/figures

`worst-over-rollouts.png` has a panel per setting. `over-all-costs.png` has worst task and average over rollouts,
tokens, processor time and steps. Lines are means over seeds, interpolated between validations; bands are 95 %
intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from budgets import MEASURES, half_width, runs_of
from comparisons import SETTINGS, read_label
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.metrics import TOTAL_METRICS
from mt_grpo_recipe.report.read.log import Run, Series
from mt_grpo_recipe.report.show.style import METHOD_MARKS, SPARE_MARKS, Mark

MARKS = METHOD_MARKS | {
    "grpo_proportional": SPARE_MARKS[3],
    "static_mix": SPARE_MARKS[1],
    "gdro": SPARE_MARKS[0],
    "mt_grpo_targets": METHOD_MARKS["mt_grpo_stream"],
    "dapo_stream": METHOD_MARKS["dapo"],
    "dapo_stream_proportional": METHOD_MARKS["dapo"],
}
SHOWN = (
    "grpo",
    "grpo_proportional",
    "dapo_stream",
    "dapo_stream_proportional",
    "gdro",
    "static_mix",
    "grpo_iwu",
    "mt_grpo",
    "mt_grpo_lean",
    "mt_grpo_targets",
)
"""Methods that are drawn, in the order of the legend; the tables have all of them."""
TITLES = {"equal": "three tasks", "nine": "nine tasks", "unequal": "three tasks in shares of 45, 5, 50 %"}


def cumulated(run: Run, metric: str) -> FloatArray:
    """A metric of each step, added up to each validation, shape (validations,); zero at the one before training."""
    series = run.series(metric)
    validated = MEASURES["average"](run).steps
    return np.interp(validated, [0, *series.steps], [0, *np.cumsum(series.values)])


def total(run: Run, name: str) -> FloatArray:
    """A total that the log keeps, at each validation, shape (validations,)."""
    series = run.series(TOTAL_METRICS[name].name)
    return np.interp(MEASURES["average"](run).steps, [0, *series.steps], [0, *series.values])


PROCESSOR_TIME = "processor time, seconds"
COSTS: dict[str, Callable[[Run], FloatArray]] = {
    "rollouts, thousands": lambda run: total(run, "total_rollouts") / 1000,
    "tokens generated, thousands": lambda run: total(run, "total_tokens") / 1000,
    PROCESSOR_TIME: lambda run: cumulated(run, "timing_s/step"),
    "steps": lambda run: MEASURES["average"](run).steps.astype(float),
}
"""What a run has spent by each validation, shape (validations,)."""


def draw_method(
    axes: Axes, runs: Sequence[Run], cost: Callable[[Run], FloatArray], measure: Callable[[Run], Series], mark: Mark
) -> Any:
    """Draw the mean over runs up to what the cheapest of them has spent; returns its line."""
    spent = [cost(run) for run in runs]
    grid = np.linspace(0, min(own[-1] for own in spent), 21)
    values = np.array([np.interp(grid, own, 100 * measure(run).values) for own, run in zip(spent, runs, strict=True)])
    mean = values.mean(0)
    if len(runs) > 1:
        half = np.array([half_width(column.tolist()) for column in values.T])
        axes.fill_between(grid, mean - half, mean + half, color=mark.color, alpha=0.13, linewidth=0)
    (line,) = axes.plot(
        grid, mean, color=mark.color, linestyle=mark.dash, marker=mark.marker, markevery=5, markersize=4, linewidth=1.6
    )
    return line


def panels(settings: Sequence[str], costs: Sequence[str], measures: Sequence[str]) -> Figure:
    """A row per setting and measure, a column per cost; or a column per setting if there is one of each other."""
    in_a_row = len(costs) == len(measures) == 1
    rows, columns = (1, len(settings)) if in_a_row else (len(settings) * len(measures), len(costs))
    figure, axes = plt.subplots(rows, columns, figsize=(3.6 * columns, 2.7 * rows + 0.5), squeeze=False)
    places = [(setting, measure, cost) for setting in settings for measure in measures for cost in costs]
    runs_in = {
        setting: {read_label(name)[0]: own for name, own in runs_of("report", setting).items()} for setting in settings
    }
    lines: dict[str, Any] = {}
    for place, (setting, measure, cost) in zip(axes.flat, places, strict=True):
        runs = runs_in[setting]
        for method in (method for method in SHOWN if method in runs):
            drawn = runs[method]
            if cost == PROCESSOR_TIME:
                drawn = [run for run in drawn if run.seed in SETTINGS[setting].timed_seeds]
            lines[method] = draw_method(place, drawn, COSTS[cost], MEASURES[measure], MARKS[method])
        place.set_xlabel(cost)
        place.set_ylabel(f"{measure}, %")
        place.set_title(TITLES[setting], fontsize=10)
        place.set_xlim(left=0)
        place.set_ylim(bottom=0)
        place.spines[["top", "right"]].set_visible(False)
    order = [method for method in SHOWN if method in lines]
    figure.legend([lines[method] for method in order], order, loc="lower center", ncols=min(4, len(order)), fontsize=8)
    figure.tight_layout(rect=(0, 0.5 / figure.get_figheight(), 1, 1))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the pictures")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    settings = list(TITLES)
    pictures = {
        "worst-over-rollouts.png": panels(settings, ["rollouts, thousands"], ["worst task"]),
        "over-all-costs.png": panels(settings, list(COSTS), list(MEASURES)),
    }
    for name, figure in pictures.items():
        figure.savefig(args.out / name, dpi=120)


if __name__ == "__main__":
    main()
