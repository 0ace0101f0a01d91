"""Compare runs of the laboratory with verl's runs of the same methods, at the same steps.

    python run_scripts/lab/against_verl.py outputs/lab run_scripts/mini/logs/equal

Prints a Markdown table: mean ± sample standard deviation over the runs of a method in per cent, and the difference of
the two means in points ± its standard error.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, stdev

from mt_grpo_recipe.report.measure.accuracy import mean_accuracy, worst_accuracy
from mt_grpo_recipe.report.read.log import Run, Series, read_run

STEPS = (20, 40, 60, 80)
MEASURES: dict[str, Callable[[Run], Series]] = {"worst task": worst_accuracy, "average": mean_accuracy}
HEADING = "| method, runs lab / verl | % | step | lab | verl | difference |\n| --- | --- | ---: | ---: | ---: | ---: |"


def runs_by_method(*folders: Path) -> dict[str, list[Run]]:
    """The runs in these folders, one directory per run."""
    runs: dict[str, list[Run]] = {}
    for file in (file for folder in folders for file in sorted(folder.glob("*/run.json"))):
        run = read_run(file.parent)
        runs.setdefault(run.method, []).append(run)
    return runs


def percents(runs: list[Run], measure: Callable[[Run], Series], step: int) -> list[float]:
    """What was measured at a step, in per cent, one number per run that was validated then."""
    values = []
    for run in runs:
        series = measure(run)
        values += (100 * series.values[series.steps == step]).tolist()
    return values


def difference(first: list[float], second: list[float]) -> tuple[float, float]:
    """Difference of the means and its standard error; at least two values on both sides."""
    error = math.sqrt(sum(stdev(values) ** 2 / len(values) for values in (first, second)))
    return fmean(first) - fmean(second), error


def rows(lab: dict[str, list[Run]], verl: dict[str, list[Run]]) -> Iterator[str]:
    """Rows of the table, for every method and step with at least two runs on both sides."""
    for method in (method for method in lab if method in verl):
        for name, measure in MEASURES.items():
            for step in STEPS:
                ours, theirs = (percents(runs[method], measure, step) for runs in (lab, verl))
                if min(len(ours), len(theirs)) < 2:
                    continue
                cells = [f"{fmean(values):.1f} ± {stdev(values):.1f}" for values in (ours, theirs)]
                apart, error = difference(ours, theirs)
                head = f"{method}, {len(ours)} / {len(theirs)} | {name} | {step}"
                yield f"| {head} | {' | '.join(cells)} | {apart:+.1f} ± {error:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lab", type=Path, help="folder of runs of the laboratory")
    parser.add_argument("verl", type=Path, nargs="+", help="folders of runs of verl")
    args = parser.parse_args()
    print(HEADING)
    for row in rows(runs_by_method(args.lab), runs_by_method(*args.verl)):
        print(row)


if __name__ == "__main__":
    main()
