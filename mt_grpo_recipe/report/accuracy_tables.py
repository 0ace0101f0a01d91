"""Tables on how well the methods do: at the end, task by task, by when, and for the same cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from mt_grpo_recipe.metrics import worst_task
from mt_grpo_recipe.report.accuracy import final_accuracies, mean_accuracy, ranked_tasks, task_accuracy, worst_accuracy
from mt_grpo_recipe.report.comparison import Comparison
from mt_grpo_recipe.report.cost import prompts_spent, seconds_spent
from mt_grpo_recipe.report.groups import Group, over_runs
from mt_grpo_recipe.report.log import Run, Series
from mt_grpo_recipe.report.measures import best, reached, relative_change, value_within
from mt_grpo_recipe.report.stats import Stat
from mt_grpo_recipe.report.tables import EMPTY, SPREAD, Cell, Column, Table


def summary_table(comparison: Comparison) -> Table:
    """Worst-task and average accuracy, final and best, and the average relative change against the baseline."""
    columns = [
        Column("method", "method"),
        Column("runs", "runs"),
        Column("steps", "steps", "count"),
        Column("worst_final", "worst task, final %", "share"),
        Column("worst_task", "which"),
        Column("worst_best", "worst task, best %", "share"),
        Column("worst_best_step", "at step", "count"),
        Column("average_final", "average, final %", "share"),
        Column("average_best", "average, best %", "share"),
        Column("average_best_step", "at step", "count"),
    ]
    remarks = [
        "Validation accuracy. Final: at a run's last validation. Best: the highest of all its validations.",
        SPREAD,
    ]
    if comparison.baseline:
        columns.append(Column("relative_change", f"change vs {comparison.baseline.name} %", "change"))
        base = comparison.baseline.name
        remarks.append(
            f"Change: mean over the tasks of (acc - acc of {base}) / acc of {base}, final accuracies, in per cent."
        )
        remarks += [
            f"The change is not defined: {base} ends at 0 on {task}."
            for task, accuracy in comparison.baseline_accuracies.items()
            if accuracy == 0
        ]
    rows = []
    for group in comparison.groups:
        row: list[Cell] = [
            group.name,
            str(len(group.runs)),
            over_runs(group, lambda run: float(run.train_steps[-1]) if len(run.train_steps) else None),
            over_runs(group, lambda run: worst_accuracy(run).last),
            _worst_tasks(group),
            over_runs(group, lambda run: _best(worst_accuracy(run), 1)),
            over_runs(group, lambda run: _best(worst_accuracy(run), 0)),
            over_runs(group, lambda run: mean_accuracy(run).last),
            over_runs(group, lambda run: _best(mean_accuracy(run), 1)),
            over_runs(group, lambda run: _best(mean_accuracy(run), 0)),
        ]
        if comparison.baseline:
            base = comparison.baseline_accuracies
            row.append(over_runs(group, lambda run, base=base: relative_change(run, base)))
        rows.append(tuple(row))
    return Table("summary", "Worst task and average", tuple(columns), tuple(rows), tuple(remarks))


def _best(series: Series, part: int) -> float | None:
    found = best(series)
    return None if found is None else float(found[part])


def _worst_tasks(group: Group) -> str:
    """The worst task at the end; where the seeds differ, each with its number of runs."""
    worst = []
    for run in group.runs:
        final = final_accuracies(run)
        ranked = {task: final[task] for task in ranked_tasks(run)}
        worst += [worst_task(ranked)[0]] if ranked else []
    counts = Counter(worst).most_common()
    if len(counts) < 2:
        return counts[0][0] if counts else EMPTY
    return ", ".join(f"{task} ({count})" for task, count in counts)


def task_table(comparison: Comparison) -> Table:
    """Final accuracy of each task."""
    titles = [f"{task} %" + (" (held out)" if task in comparison.held_out else "") for task in comparison.tasks]
    columns = [Column("method", "method")]
    columns += [Column(task, title, "share") for task, title in zip(comparison.tasks, titles, strict=True)]
    rows = [
        (
            group.name,
            *(over_runs(group, lambda run, task=task: task_accuracy(run, task).last) for task in comparison.tasks),
        )
        for group in comparison.groups
    ]
    remarks = ["Validation accuracy at a run's last validation.", SPREAD]
    if comparison.held_out:
        remarks.append("Held-out tasks are validated but not trained, and count for neither worst task nor average.")
    return Table("tasks", "Final accuracy, task by task", tuple(columns), tuple(rows), tuple(remarks))


def task_change_table(comparison: Comparison) -> Table:
    """Relative change of each task's final accuracy against the baseline; without rows where there is no baseline."""
    base = comparison.baseline_accuracies
    tasks = [task for task in comparison.tasks if base.get(task)]
    columns = [Column("method", "method"), *(Column(task, f"{task} %", "change") for task in tasks)]

    def change(run: Run, task: str) -> float:
        return 100 * (task_accuracy(run, task).last / base[task] - 1)

    rows = [
        (group.name, *(over_runs(group, lambda run, task=task: change(run, task)) for task in tasks))
        for group in (comparison.groups if tasks else ())
    ]
    name = comparison.baseline.name if comparison.baseline else "none"
    remarks = (
        f"(acc - acc of {name}) / acc of {name} in per cent, final accuracies; tasks where {name} ends at 0 are out.",
    )
    return Table("task-changes", f"Change against {name}, task by task", tuple(columns), tuple(rows), remarks)


def threshold_table(comparison: Comparison) -> Table:
    """Steps, seconds and prompts until the worst task first reached each threshold."""
    columns = [Column("method", "method")]
    for level in (f"{100 * threshold:g}" for threshold in comparison.thresholds):
        columns += [
            Column(f"steps_to_{level}", f"steps to {level} %", "count"),
            Column(f"seconds_to_{level}", f"time to {level} %", "seconds"),
            Column(f"prompts_to_{level}", f"prompts to {level} %", "count"),
        ]
    rows = []
    for group in comparison.groups:
        row: list[Cell] = [group.name]
        for threshold in comparison.thresholds:
            found = [reached(run, threshold) for run in group.runs]
            row += [Stat.of(r and float(r.step) for r in found), Stat.of(r and r.seconds for r in found)]
            row.append(Stat.of(r and r.prompts for r in found))
        rows.append(tuple(row))
    remarks = (
        "The first validation at which the worst task is at or above the threshold; - where no run got there. "
        "Means are over the runs that did, so (1 of 3) beside a small number is no fast method.",
        "Time is training alone: validation, start-up and steps done again after a resume are left out.",
    )
    return Table("thresholds", "How soon the worst task gets there", tuple(columns), tuple(rows), remarks)


def budget_table(comparison: Comparison) -> Table:
    """Accuracies for the same time and for the same number of prompts: what the cheapest run spent."""
    columns = [Column("method", "method")]
    spenders: list[tuple[Callable[[Run], Series], float]] = []
    remarks = []
    for key, spent, unit in (("time", seconds_spent, "seconds of training"), ("prompts", prompts_spent, "prompts")):
        totals = [(total, run.name) for run in comparison.runs if not math.isnan(total := spent(run).last)]
        if not totals:
            continue
        budget, cheapest = min(totals)
        columns += [
            Column(f"worst_at_{key}", f"worst task at equal {key} %", "share"),
            Column(f"average_at_{key}", f"average at equal {key} %", "share"),
        ]
        spenders.append((spent, budget))
        remarks.append(f"Equal {key}: {budget:,.0f} {unit}, which the cheapest run ({cheapest}) spent in all.")
    rows = []
    for group in comparison.groups:
        row: list[Cell] = [group.name]
        for spent, budget in spenders:
            for accuracy in (worst_accuracy, mean_accuracy):
                row.append(over_runs(group, lambda run, a=accuracy, s=spent, b=budget: value_within(a(run), s(run), b)))
        rows.append(tuple(row))
    remarks.append("Taken at a run's last validation within the budget.")
    return Table("budget", "The same cost for all", tuple(columns), tuple(rows), tuple(remarks))
