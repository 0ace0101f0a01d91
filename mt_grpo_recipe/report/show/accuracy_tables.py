"""Tables on how well the methods do: at the end, task by task, by when, and for the same cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial

from mt_grpo_recipe.report.measure.accuracy import (
    best,
    final_accuracies,
    mean_accuracy,
    ranked_tasks,
    relative_change,
    task_accuracy,
    worst_accuracy,
    worst_task,
)
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.measure.cost import PROMPTS, ROLLOUTS, TIME, reached, value_within
from mt_grpo_recipe.report.measure.groups import Group
from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.read.log import Run, Series
from mt_grpo_recipe.report.show.tables import (
    EMPTY,
    SPREAD,
    Cell,
    Column,
    FilledColumn,
    Table,
    measured,
    method_column,
    table_by_group,
)


def summary_table(comparison: Comparison) -> Table:
    """Worst-task and average accuracy, final and best, and the average relative change against the baseline."""
    filled: list[FilledColumn] = [
        method_column(),
        (Column("runs", "runs"), lambda group: str(len(group.runs))),
        measured("steps", "steps", "count", lambda run: float(steps[-1]) if len(steps := run.train_steps) else None),
        measured("worst_final", "worst task, final %", "share", lambda run: worst_accuracy(run).last),
        (Column("worst_task", "which"), _worst_tasks),
        measured("worst_best", "worst task, best %", "share", lambda run: _best(worst_accuracy(run), 1)),
        measured("worst_best_step", "at step", "count", lambda run: _best(worst_accuracy(run), 0)),
        measured("average_final", "average, final %", "share", lambda run: mean_accuracy(run).last),
        measured("average_best", "average, best %", "share", lambda run: _best(mean_accuracy(run), 1)),
        measured("average_best_step", "at step", "count", lambda run: _best(mean_accuracy(run), 0)),
    ]
    remarks = [
        "Validation accuracy. Final: at a run's last validation. Best: the highest of all its validations.",
        SPREAD,
    ]
    if comparison.baseline:
        name, accuracies = comparison.baseline.name, comparison.baseline_accuracies
        filled.append(
            measured("relative_change", f"change vs {name} %", "change", lambda run: relative_change(run, accuracies))
        )
        remarks += [
            f"Change: mean over the tasks of (acc - acc of {name}) / acc of {name}, final accuracies, in per cent.",
            *(f"The change is not defined: {name} ends at 0 on {task}." for task in accuracies if not accuracies[task]),
        ]
    return table_by_group("summary", "Worst task and average", filled, comparison.groups, remarks)


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
    filled = [method_column()]
    filled += [
        measured(task, title, "share", lambda run, task=task: task_accuracy(run, task).last)
        for task, title in zip(comparison.tasks, titles, strict=True)
    ]
    remarks = ["Validation accuracy at a run's last validation.", SPREAD]
    if comparison.held_out:
        remarks.append("Held-out tasks are validated but not trained, and count for neither worst task nor average.")
    return table_by_group("tasks", "Final accuracy, task by task", filled, comparison.groups, remarks)


def task_change_table(comparison: Comparison) -> Table:
    """Relative change of each task's final accuracy against the baseline; no rows without a baseline."""
    base = comparison.baseline_accuracies
    tasks = [task for task in comparison.tasks if base.get(task)]

    def change(run: Run, task: str) -> float:
        return 100 * (task_accuracy(run, task).last / base[task] - 1)

    filled = [method_column()]
    filled += [measured(task, f"{task} %", "change", lambda run, task=task: change(run, task)) for task in tasks]
    name = comparison.baseline.name if comparison.baseline else "none"
    remarks = (
        f"(acc - acc of {name}) / acc of {name} in per cent, final accuracies; tasks where {name} ends at 0 are out.",
    )
    title = f"Change against {name}, task by task"
    return table_by_group("task-changes", title, filled, comparison.groups if tasks else (), remarks)


def per_cent(threshold: float) -> str:
    """A threshold as tables and their files call it, such as "37.5"."""
    return f"{100 * threshold:g}"


def threshold_table(comparison: Comparison) -> Table:
    """Steps, seconds, prompts and, where a log has them, rollouts until the worst task first reached each threshold."""
    has_rollouts = any(ROLLOUTS.known(run) for run in comparison.runs)
    columns = [Column("method", "method")]
    for level in map(per_cent, comparison.thresholds):
        columns += [
            Column(f"steps_to_{level}", f"steps to {level} %", "count"),
            Column(f"seconds_to_{level}", f"time to {level} %", "seconds"),
            Column(f"prompts_to_{level}", f"prompts to {level} %", "count"),
        ]
        columns += [Column(f"rollouts_to_{level}", f"rollouts to {level} %", "count")] if has_rollouts else []
    rows = []
    for group in comparison.groups:
        row: list[Cell] = [group.name]
        for threshold in comparison.thresholds:
            found = [reached(run, threshold) for run in group.runs]
            row += [Stat.of(r and float(r.step) for r in found), Stat.of(r and r.seconds for r in found)]
            row.append(Stat.of(r and r.prompts for r in found))
            row += [Stat.of(r and r.rollouts for r in found)] if has_rollouts else []
        rows.append(tuple(row))
    remarks = (
        "The first validation at which the worst task is at or above the threshold; - where no run got there. "
        "Means are over the runs that did, so (1 of 3) beside a small number is no fast method.",
        "Time is training alone: validation, start-up and steps done again after a resume are left out.",
    )
    return Table("thresholds", "How soon the worst task gets there", tuple(columns), tuple(rows), remarks)


def budget_table(comparison: Comparison) -> Table:
    """Accuracies for the same time, prompts and rollouts: what the cheapest run spent."""
    filled, remarks = [method_column()], []
    for cost in (TIME, PROMPTS, ROLLOUTS):
        totals = [(total, run.name) for run in comparison.runs if not math.isnan(total := cost.spent(run).last)]
        if not totals:
            continue
        budget, cheapest = min(totals)
        for name, title, accuracy in (("worst", "worst task", worst_accuracy), ("average", "average", mean_accuracy)):
            within = partial(_within, accuracy, cost.spent, budget)
            filled.append(measured(f"{name}_at_{cost.key}", f"{title} at equal {cost.key} %", "share", within))
        amount = f"{budget:,.0f} {cost.unit}"
        remarks.append(f"Equal {cost.key}: {amount}, which the cheapest run ({cheapest}) spent in all.")
    remarks.append("Taken at a run's last validation within the budget.")
    return table_by_group("budget", "The same cost for all", filled, comparison.groups, remarks)


def _within(accuracy: Callable[[Run], Series], spent: Callable[[Run], Series], budget: float, run: Run) -> float:
    return value_within(accuracy(run), spent(run), budget)
