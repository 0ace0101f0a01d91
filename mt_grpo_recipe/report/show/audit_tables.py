"""The audit of the mix as tables: one row per method and task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mt_grpo_recipe.report.measure.audit import TaskAudit, audit
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.measure.groups import Group
from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.show.tables import SPREAD, Cell, Column, Kind, Table, without_empty


def _fate(name: str) -> Callable[[TaskAudit], float]:
    return lambda task: task.fates.get(name, math.nan)


COLUMNS: tuple[tuple[str, str, Kind, Callable[[TaskAudit], float]], ...] = (
    ("asked", "asked for %", "share", lambda task: task.asked),
    ("generated", "groups generated", "count", lambda task: task.generated),
    ("all_right", "all right", "count", _fate("all right")),
    ("all_wrong", "all wrong", "count", _fate("all wrong")),
    ("all_alike", "all alike", "count", _fate("all alike")),
    ("failed", "failed", "count", _fate("failed")),
    ("informative", "informative", "count", lambda task: task.informative),
    ("trained", "trained on", "count", lambda task: task.trained),
    ("tokens", "tokens trained on", "count", lambda task: task.tokens),
    ("token_share", "of the tokens %", "share", lambda task: task.token_share),
    ("gradient_share", "of the gradient %", "share", lambda task: task.gradient_share),
)
"""Key, title and kind of a column, and what it shows of a task."""


def audit_table(comparison: Comparison) -> Table:
    """What became of each task over the whole run; no rows where no log says what came of the groups."""
    return _table(comparison, "audit", "Where the rollouts went, whole run", None)


def late_audit_table(comparison: Comparison) -> Table:
    """The same over the last steps."""
    title = f"Where the rollouts went, last {comparison.last} steps"
    return _table(comparison, "audit-late", title, comparison.last)


def _table(comparison: Comparison, key: str, title: str, last: int | None) -> Table:
    columns = (
        Column("method", "method"),
        Column("task", "task"),
        *(Column(key, title, kind) for key, title, kind, _ in COLUMNS),
    )
    rows = [row for group in comparison.groups for row in _rows(comparison.tasks, group, last)]
    remarks = (
        "Asked for: share of the batch, mean over the steps. Generated: groups launched. All right, all wrong, all "
        "alike (equal rewards in between): those of no use. Tokens are response tokens. Gradient: the task's share of "
        "the sum of |advantage| times loss weight over the tokens trained on.",
        SPREAD,
    )
    return without_empty(Table(key, title, columns, tuple(rows), remarks))


def _rows(tasks: Sequence[str], group: Group, last: int | None) -> list[tuple[Cell, ...]]:
    audits = [{audited.task: audited for audited in audit(run, last)} for run in group.runs]
    rows = []
    for task in tasks:
        found = [of_run.get(task) for of_run in audits]
        if any(audited and audited.fates for audited in found):
            stats = (Stat.of(audited and show(audited) for audited in found) for _, _, _, show in COLUMNS)
            rows.append((group.name, task, *stats))
    return rows
