"""All runs of a report, grouped, with what is needed to compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mt_grpo_recipe.report.measure.accuracy import final_accuracies, ranked_tasks, worst_accuracy
from mt_grpo_recipe.report.measure.cost import default_thresholds
from mt_grpo_recipe.report.measure.groups import Group, find_baseline, group_runs
from mt_grpo_recipe.report.measure.starvation import starvations
from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.read.log import Run, read_runs


@dataclass(frozen=True)
class Comparison:
    """What the report is about.

    Attributes:
        groups: the methods with their runs.
        baseline: the group that changes are measured against; None for none.
        tasks: all tasks of all runs, the trained ones first.
        held_out: the tasks that no run trained.
        thresholds: worst-task accuracies whose first crossing is timed, between 0 and 1, rising.
        last: training metrics are means over this many last steps.
        notes: sentences on what the logs lack and on what makes runs hard to compare.
        alarms: sentences on tasks that were asked for in `last` steps and trained on in none of them.
    """

    groups: tuple[Group, ...]
    baseline: Group | None
    tasks: tuple[str, ...]
    held_out: tuple[str, ...]
    thresholds: tuple[float, ...]
    last: int
    notes: tuple[str, ...]
    alarms: tuple[str, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, group by group."""
        return tuple(run for group in self.groups for run in group.runs)

    @property
    def trained_tasks(self) -> tuple[str, ...]:
        """The tasks that some run trained; all where no log says."""
        return tuple(task for task in self.tasks if task not in self.held_out)

    @property
    def last_step(self) -> int:
        """The last step of the longest run."""
        return max(max(run.records) for run in self.runs)

    @property
    def baseline_accuracies(self) -> dict[str, float]:
        """Final accuracy of each ranked task under the baseline, mean over its seeds; empty without a baseline."""
        if self.baseline is None:
            return {}
        finals = [final_accuracies(run) for run in self.baseline.runs]
        tasks = dict.fromkeys(task for run in self.baseline.runs for task in ranked_tasks(run))
        return {task: Stat.of(final.get(task) for final in finals).mean for task in tasks}


def compare(
    paths: Sequence[Path | str],
    baseline: str | None = None,
    thresholds: Sequence[float] | None = None,
    last: int = 10,
) -> Comparison:
    """Read runs and lay them side by side.

    Args:
        paths: runs, or directories that hold runs. A run whose log cannot be read is left out and named in the notes.
        baseline: group, method or path to compare against; None takes "dapo" if it is there.
        thresholds: worst-task accuracies to time, between 0 and 1; None chooses round ones.
        last: training metrics are means over this many of the last steps, and a task that starves for as many is named.

    Raises:
        RunLogError: a path does not exist, no run can be read, or the baseline is not found.
    """
    given = [Path(path) for path in paths]
    runs, notes = read_runs(given)
    if (
        baseline
        and baseline not in {name for run in runs for name in (run.group, run.method)}
        and Path(baseline).exists()
    ):
        # A baseline given as a run counts as one of the runs.
        runs, notes = read_runs([*given, Path(baseline)])
    groups = group_runs(runs)
    trained = dict.fromkeys(task for run in runs for task in run.trained_tasks)
    tasks = tuple(dict.fromkeys([*trained, *(task for run in runs for task in run.tasks)]))
    return Comparison(
        groups=groups,
        baseline=find_baseline(groups, baseline),
        tasks=tasks,
        held_out=tuple(task for task in tasks if trained and task not in trained),
        thresholds=tuple(sorted(thresholds)) if thresholds is not None else default_thresholds(runs),
        last=last,
        notes=tuple(notes + _unlike(groups, tasks)),
        alarms=tuple(
            f"{run.name}: {stretch.sentence()}"
            for group in groups
            for run in group.runs
            for stretch in starvations(run, last)
        ),
    )


def _unlike(groups: tuple[Group, ...], tasks: tuple[str, ...]) -> list[str]:
    """Sentences on what makes runs hard to compare."""
    notes: list[str] = []
    runs = [run for group in groups for run in group.runs]
    longest = max((int(steps[-1]) for run in runs if len(steps := worst_accuracy(run).steps)), default=0)
    for group in groups:
        seeds = [run.seed for run in group.runs]
        for run in group.runs:
            missing = [task for task in tasks if task not in run.tasks]
            if missing:
                notes.append(
                    f"{run.name} has no task {', '.join(missing)}: its worst task and average are of the others"
                )
            steps = worst_accuracy(run).steps
            if len(steps) and steps[-1] < longest:
                notes.append(f"{run.name}: its last validation is at step {steps[-1]}, the longest run's at {longest}")
        for seed in dict.fromkeys(seeds):
            if len(seeds) > 1 and (seed is None or seeds.count(seed) > 1):
                which = "without a seed" if seed is None else f"of seed {seed}"
                notes.append(f"{group.name}: {seeds.count(seed)} runs {which} are counted apart")
    return notes
