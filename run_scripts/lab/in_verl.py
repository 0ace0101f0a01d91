"""Table of the runs of nine tasks in verl, at equal rollouts, in Markdown, from the packed logs.

    python run_scripts/lab/in_verl.py

An accuracy at a number of groups is interpolated between validations. Intervals are 95 % intervals by Student's t over
the seeds; differences are taken seed by seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from against_verl import runs_by_method
from budgets import MEASURES, at_groups, cell, groups_by_validation
from comparisons import MINI

from mt_grpo_recipe.report.measure.accuracy import worst_accuracy
from mt_grpo_recipe.report.read.log import Run

BUDGET = 1440
"""Groups that 80 steps of GRPO generate, with a batch of 18."""
OURS = "mt_grpo_lean"
METHODS = ("grpo", "dapo_stream", "mt_grpo", OURS)
LOGS = MINI / "logs" / "nine"


def rows(runs: dict[str, list[Run]]) -> Iterator[str]:
    """One row per method: what it has after `BUDGET` groups, ours less it, its steps, and all groups it generated."""
    after = f"after {BUDGET:,} groups: worst task"
    yield f"| method, runs | {after} | average | {OURS} minus this: worst task | average | steps | groups in all |"
    yield f"| --- |{' ---: |' * 6}"
    of_seed = {run.seed: run for run in runs[OURS]}
    for method in METHODS:
        seeds = sorted(runs[method], key=lambda run: run.seed or 0)
        cells = [cell([at_groups(run, measure, BUDGET) for run in seeds]) for measure in MEASURES.values()]
        for measure in MEASURES.values():
            apart = [at_groups(of_seed[run.seed], measure, BUDGET) - at_groups(run, measure, BUDGET) for run in seeds]
            cells.append("" if method == OURS else cell(apart, "+"))
        cells.append(f"{fmean(len(run.train_steps) for run in seeds):.0f}")
        cells.append(f"{fmean(groups_by_validation(run, worst_accuracy)[0][-1] for run in seeds):,.0f}")
        name = f"**{method}**" if method == OURS else method
        yield f"| {name}, {len(seeds)} | {' | '.join(cells)} |"


def main() -> None:
    print("\n".join(rows(runs_by_method(LOGS))))


if __name__ == "__main__":
    main()
