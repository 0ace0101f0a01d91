"""Tables of the comparison at equal rollouts, in Markdown, from the packed logs of the runs that compare.py trained.

    python run_scripts/lab/equal_rollouts.py            # prints them
    python run_scripts/lab/equal_rollouts.py --write    # run_scripts/mini/EQUAL_ROLLOUTS.md anew

An accuracy at a number of groups is interpolated between the validations before and after it. All intervals are 95 %
intervals by Student's t, over the seeds; differences are taken seed by seed (paired).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Iterator
from statistics import fmean

import numpy as np
from budgets import (
    BUDGETS,
    MEASURES,
    at_groups,
    by_method,
    cell,
    gradient_counts,
    groups_by_validation,
    groups_to,
    mean_over_budgets,
    runs_of,
    share_error,
    trained_over_informative,
    worst_accuracy,
)
from comparisons import GROUPS, LEARNING_RATE, METHODS, MINI, RATES, ROLLOUTS_PER_GROUP, SETTINGS, Setting

from mt_grpo_recipe.report.read.log import Run

PAGE = MINI / "EQUAL_ROLLOUTS.md"
BELOW_GRPO = ("sec_grpo", "dump", "dapo", "dapo_proportional", "sec_dapo", "grpo_rps", "mt_grpo_0.1", "mt_grpo_reg")
"""Methods that RESULTS.md leaves to `PAGE`; what it says of them together is tested."""


def named(method: str, batch: int, rate: float) -> str:
    """A method as the first column of a table has it."""
    return f"{method}, {batch}" if rate == LEARNING_RATE else f"{method} at {rate:g}, {batch}"


def choice_rows(runs: dict[str, list[Run]]) -> Iterator[str]:
    """Worst task, mean over the budgets, by method and batch."""
    batches = sorted({batch for by_batch in by_method(runs).values() for batch, _ in by_batch})
    yield f"| method | {' | '.join(f'batch {batch}' for batch in batches)} |"
    yield f"| --- |{' ---: |' * len(batches)}"
    for method, by_batch in by_method(runs).items():
        means = {
            batch: fmean(mean_over_budgets(run, worst_accuracy) for run in own) for (batch, _), own in by_batch.items()
        }
        cells = [f"{means[batch]:.1f}" if batch in means else "" for batch in batches]
        yield f"| {method} | {' | '.join(cells)} |"


def rate_rows(setting: str) -> Iterator[str]:
    """The same by method and learning rate, at the batch that was chosen."""
    described = SETTINGS[setting]
    runs = runs_of("choose", setting) | runs_of("rates", setting)
    yield f"| method, batch | {' | '.join(f'rate {rate:g}' for rate in RATES)} |"
    yield f"| --- |{' ---: |' * len(RATES)}"
    for method in (method for method in METHODS if method in described.grid):
        batch = described.batches[method]
        labels = [described.training(method, batch, seed=0, rate=rate).label for rate in RATES]
        means = [fmean(mean_over_budgets(run, worst_accuracy) for run in runs[label]) for label in labels]
        yield f"| {method}, {batch} | {' | '.join(f'{mean:.1f}' for mean in means)} |"


def accuracy_rows(runs: dict[str, list[Run]]) -> Iterator[str]:
    """Worst task and average of each method at each budget."""
    yield f"| method, batch, runs | % | {' | '.join(f'{budget:,}' for budget in BUDGETS)} |"
    yield f"| --- | --- |{' ---: |' * len(BUDGETS)}"
    for name, measure in MEASURES.items():
        for method, by_batch in by_method(runs).items():
            for version, seeds in by_batch.items():
                values = np.array([at_groups(run, measure, BUDGETS) for run in seeds])
                cells = [cell(column) for column in values.T.tolist()]
                yield f"| {named(method, *version)}, {len(seeds)} | {name} | {' | '.join(cells)} |"


def difference_rows(runs: dict[str, list[Run]], ours: str, own: list[Run] | None = None) -> Iterator[str]:
    """One method less each other, in points, over the seeds of both: mean over the budgets, and at each of them.

    Args:
        runs: by method and batch, with one batch per method.
        ours: the one method.
        own: its runs, if they are not among `runs`; others of this method, with another batch, are then compared, too.
    """
    yield f"| {ours} minus, pairs | points of | mean | {' | '.join(f'{budget:,}' for budget in BUDGETS)} |"
    yield f"| --- | --- |{' ---: |' * (1 + len(BUDGETS))}"
    methods = {method: seeds for method, by_batch in by_method(runs).items() for seeds in by_batch.values()}
    if own is None:
        own = methods.pop(ours)
    for name, measure in MEASURES.items():
        values = {run.seed: at_groups(run, measure, BUDGETS) for run in own}
        for method, others in methods.items():
            pairs = [(values[run.seed], at_groups(run, measure, BUDGETS)) for run in others if run.seed in values]
            if pairs:
                apart = np.array([one - other for one, other in pairs])
                cells = [cell(column.tolist(), "+") for column in (apart.mean(1), *apart.T)]
                yield f"| {method}, {len(pairs)} | {name} | {' | '.join(cells)} |"


def cost_rows(runs: dict[str, list[Run]]) -> Iterator[str]:
    """What each method made of its groups."""
    yield "| method, batch | steps | with a gradient, % of generated | trained, % of those | share error, points |"
    yield f"| --- |{' ---: |' * 4}"
    for method, by_batch in by_method(runs).items():
        for version, seeds in by_batch.items():
            counts = [gradient_counts(run)[0].sum() for run in seeds]
            spent = [groups_by_validation(run, worst_accuracy)[0][-1] for run in seeds]
            informative = fmean(100 * count / all_ for count, all_ in zip(counts, spent, strict=True))
            yield (
                f"| {named(method, *version)} | {fmean(len(run.train_steps) for run in seeds):.0f} | {informative:.0f} "
                f"| {fmean(map(trained_over_informative, seeds)):.0f} | {fmean(map(share_error, seeds)):.1f} |"
            )


def summary_rows(runs: dict[str, list[Run]], level: float, ours: str, left_out: Collection[str] = ()) -> Iterator[str]:
    """One row per method: means over the budgets, ours less it seed by seed, and groups to a level."""
    yield (
        f"| method, batch, runs | worst task | average | {ours} minus this: worst task | average "
        f"| groups to {level:.0f} % worst task | reached by |"
    )
    yield f"| --- |{' ---: |' * 6}"
    methods = {method: item for method, by_batch in by_method(runs).items() for item in by_batch.items()}
    of_seed = {run.seed: run for run in methods[ours][1]}
    for method, (version, seeds) in methods.items():
        if method in left_out:
            continue
        cells = [cell([mean_over_budgets(run, measure) for run in seeds]) for measure in MEASURES.values()]
        for measure in MEASURES.values():
            pairs = [(of_seed[run.seed], run) for run in seeds if run.seed in of_seed and method != ours]
            apart = [mean_over_budgets(own, measure) - mean_over_budgets(other, measure) for own, other in pairs]
            cells.append(cell(apart, "+") if apart else "")
        to_level = [groups_to(run, level) for run in seeds]
        late = sum(map(math.isinf, to_level))
        reach = f"{'≥ ' if late else ''}{fmean(min(groups, float(GROUPS)) for groups in to_level):,.0f}"
        name = f"**{method}**" if method == ours else method
        first = f"{named(name, *version)}, {len(seeds)}"
        yield f"| {first} | {' | '.join(cells)} | {reach} | {len(seeds) - late} of {len(seeds)} |"


def later_runs(setting: str) -> dict[str, list[Run]]:
    """The runs of a setting with the seeds that came after its first results were known."""
    known = SETTINGS[setting].first_seeds
    return {label: [run for run in own if run.seed not in known] for label, own in runs_of("report", setting).items()}


INTRODUCTION = f"""# Every number of the comparison at equal rollouts

Written by `python run_scripts/lab/equal_rollouts.py --write` from the logs in [`lab/compared`](../lab/compared).
[PROTOCOL.md](PROTOCOL.md) says what was compared and how settings were chosen, [RESULTS.md](RESULTS.md) what it means.

Accuracies in %, after {", ".join(f"{budget:,}" for budget in BUDGETS)} groups of {ROLLOUTS_PER_GROUP} rollouts,
interpolated between validations; in the first table of each setting the mean of these four. Mean ± half of the 95 %
interval by Student's t over the seeds. Differences are taken seed by seed. Share error: how far a task's share of all
groups with a gradient that were trained on is from what its weights asked for, for the farthest task, mean over the
seeds. A run that does not get to a level counts as {GROUPS:,} groups, which makes the mean a lower bound (≥).
"""


REPLACED = """Runs whose batch or learning rate was not the method's best on other puzzles, whose logs lack tokens and
times, or whose sampler had a fault; those above took their place ([PROTOCOL.md](PROTOCOL.md)).
"""


def tables_of(setting: str, described: Setting) -> Iterator[str]:
    """The lines of what `PAGE` has of a setting."""
    runs = runs_of("report", setting)
    yield f"## {setting.capitalize()}\n"
    yield from summary_rows(runs, described.level, described.ours)
    for rows in (accuracy_rows(runs), *(difference_rows(runs, one) for one in described.paired), cost_rows(runs)):
        yield from ("", *rows)
    if set(described.seeds) - set(described.first_seeds):
        first = ", ".join(map(str, described.first_seeds))
        yield f"\n### {setting.capitalize()}: without seeds {first}\n"
        yield "The seeds that were added when the results of these were known (PROTOCOL.md, ten seeds).\n"
        yield from summary_rows(later_runs(setting), described.level, described.ours)
        for one in described.paired:
            yield from ("", *difference_rows(later_runs(setting), one))


def page() -> str:
    """The text of `PAGE`."""
    parts = [INTRODUCTION]
    for setting, described in SETTINGS.items():
        parts += [*tables_of(setting, described), ""]
    for setting in SETTINGS:
        if replaced := runs_of("replaced", setting):
            parts += [f"## {setting.capitalize()}: replaced\n", REPLACED, *accuracy_rows(replaced), ""]
            for ours in SETTINGS[setting].paired:
                (own,) = by_method(runs_of("report", setting))[ours].values()
                parts += [*difference_rows(replaced, ours, own), ""]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} instead")
    args = parser.parse_args()
    if args.write:
        PAGE.write_text(page(), encoding="utf-8")
        return
    for setting, described in SETTINGS.items():
        print(f"## {setting}\n")
        if described.grid:
            print("\n".join([*choice_rows(runs_of("choose", setting)), "", *rate_rows(setting), ""]))
        print("\n".join([*summary_rows(runs_of("report", setting), described.level, described.ours), ""]))


if __name__ == "__main__":
    main()
