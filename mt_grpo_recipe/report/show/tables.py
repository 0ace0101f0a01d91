"""Tables as data, and as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mt_grpo_recipe.report.measure.groups import Group, over_runs
from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.read.log import Run

Kind = Literal["text", "share", "change", "count", "number", "seconds"]
"""share: 0 to 1, shown in per cent; change: per cent, shown with its sign; number: two decimals."""

Cell = str | Stat
EMPTY = "-"
SPREAD = "Mean ± sample standard deviation over a method's runs; (2 of 3) tells that two runs of three have the number."


@dataclass(frozen=True)
class Column:
    """A column: `key` heads it in CSV, `title` where people read it."""

    key: str
    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """A table; every row has as many cells as there are columns.

    Attributes:
        key: name of the table's files.
        title: heading.
        columns: the columns.
        rows: the cells; `Stat` for numbers.
        remarks: sentences below it: units, what is averaged over what.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remarks: tuple[str, ...] = ()


FilledColumn = tuple[Column, Callable[[Group], Cell]]
"""A column, and what it says of a group."""


def method_column() -> FilledColumn:
    """The first column, with the names of the groups."""
    return Column("method", "method"), lambda group: group.name


def measured(key: str, title: str, kind: Kind, measure: Callable[[Run], float | None]) -> FilledColumn:
    """A column with one number per run, summarised over the group."""
    return Column(key, title, kind), lambda group: over_runs(group, measure)


def table_by_group(
    key: str, title: str, filled: Sequence[FilledColumn], groups: Sequence[Group], remarks: Sequence[str]
) -> Table:
    """A table with one row per group."""
    rows = tuple(tuple(cell(group) for _, cell in filled) for group in groups)
    return Table(key, title, tuple(column for column, _ in filled), rows, tuple(remarks))


def without_empty(table: Table) -> Table:
    """The table without the columns that no row has a number for: their metric was not logged."""
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
    kept = [
        place
        for place, (column, cells) in enumerate(zip(table.columns, columns, strict=True))
        if column.kind == "text" or any(isinstance(cell, Stat) and cell.n for cell in cells)
    ]
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in kept), rows=rows)


def show(cell: Cell, kind: Kind) -> str:
    """Write a cell for people: the mean, "± sd" where there are several runs, "(2 of 3)" where some lack the number."""
    if isinstance(cell, str):
        return cell
    if not cell.n:
        return EMPTY
    text = _number(cell.mean, cell.mean, kind)
    if not math.isnan(cell.sd) and (kind != "count" or cell.sd):
        text = f"{text} ± {_number(cell.sd, cell.mean, kind).lstrip('+')}"
    if kind == "seconds":
        text = f"{text} {_time_unit(cell.mean)[1]}"
    return text if cell.n == cell.total else f"{text} ({cell.n} of {cell.total})"


def _number(value: float, mean: float, kind: Kind) -> str:
    if kind == "share":
        return f"{100 * value:.1f}"
    if kind == "change":
        return f"{round(value, 1) + 0.0:+.1f}"  # adding 0 turns -0.0 into 0.0
    if kind == "count":
        return f"{value:,.0f}" if mean >= 100 or value.is_integer() else f"{value:.1f}"
    if kind == "seconds":
        value /= _time_unit(mean)[0]
        return f"{value:.1f}"
    return f"{value:.2f}"


def duration(seconds: float) -> str:
    """Write seconds for people: "5.1 s", "3.0 min", "2.5 h"."""
    size, unit = _time_unit(seconds)
    return f"{seconds / size:.1f} {unit}"


def _time_unit(seconds: float) -> tuple[float, str]:
    return (1.0, "s") if seconds < 120 else (60.0, "min") if seconds < 7200 else (3600.0, "h")


def to_markdown(table: Table) -> str:
    """The table as Markdown with its heading and remarks."""
    lines = [_row(column.title for column in table.columns)]
    lines.append(_row("---" if column.kind == "text" else "---:" for column in table.columns))
    lines += [_row(_shown(table, row)) for row in table.rows]
    remarks = "".join(f"\n{remark}\n" for remark in table.remarks)
    return f"## {table.title}\n\n" + "\n".join(lines) + f"\n{remarks}"


def _row(cells) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(table: Table, row: Sequence[Cell]) -> list[str]:
    return [show(cell, column.kind) for cell, column in zip(row, table.columns, strict=True)]


def to_csv(table: Table) -> str:
    """The table as CSV, numbers in full: each becomes three columns, with mean, standard deviation and number of runs.

    Shares are between 0 and 1, times in seconds, changes in per cent; unknown values are left empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] = []
    for column in table.columns:
        header += [column.key] if column.kind == "text" else [column.key, f"{column.key}_sd", f"{column.key}_n"]
    writer.writerow(header)
    for row in table.rows:
        written: list[str] = []
        for cell, column in zip(row, table.columns, strict=True):
            if column.kind == "text":
                written.append(show(cell, "text"))
            elif isinstance(cell, Stat):
                written += [_plain(cell.mean), _plain(cell.sd), str(cell.n)]
            else:
                written += ["", "", "0"]
        writer.writerow(written)
    return out.getvalue()


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"
