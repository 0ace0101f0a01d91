"""`mt-grpo report`: from the logs of any runs to a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from mt_grpo_recipe.report.build import write_report
from mt_grpo_recipe.report.measure.comparison import compare
from mt_grpo_recipe.report.show.accuracy_tables import per_cent, summary_table
from mt_grpo_recipe.report.show.tables import Table, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a run's directory with its *.jsonl logs, one such file, or a directory of runs. Runs of one method with "
        'several seeds are averaged; run.json beside the log names both: {"method": ..., "seed": ..., "label": ...}',
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="where the report goes")
    parser.add_argument(
        "--baseline",
        metavar="RUN_OR_METHOD",
        help="what changes are measured against (default: dapo, if given)",
    )
    parser.add_argument(
        "--thresholds",
        type=_thresholds,
        metavar="A,B,...",
        help="accuracies of the worst task to time, in [0, 1], such as 0.3,0.4,0.5 (default: round ones in reach)",
    )
    parser.add_argument(
        "--last",
        type=_positive,
        default=10,
        metavar="K",
        help="weights, shares and rates are means over the last K steps; a task is named as starved once K steps have "
        "asked for it and none has trained on it (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the report and print where it is.

    Returns:
        0.

    Raises:
        RunLogError: a run does not exist, none can be read, or the baseline is not among them.
    """
    comparison = compare(args.runs, args.baseline, args.thresholds, args.last)
    page = write_report(comparison, Path(args.output))
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        # A file or a pipe has no width, so no column may be cut to fit.
        console.width = max(console.width, 200)
    console.print(_terminal(summary_table(comparison)))
    for alarm in comparison.alarms:
        console.print(f"alarm: {alarm}", style="bold", markup=False, soft_wrap=True)
    for note in comparison.notes:
        console.print(f"note: {note}", style="dim", markup=False, soft_wrap=True)
    console.print(f"report: {page.resolve()}", markup=False, soft_wrap=True)
    return 0


def _terminal(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in table.columns:
        shown.add_column(escape(column.title), justify="left" if column.kind == "text" else "right", overflow="fold")
    for row in table.rows:
        cells = [show(cell, column.kind) for cell, column in zip(row, table.columns, strict=True)]
        shown.add_row(*map(escape, cells))
    return shown


def _thresholds(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(0 < value <= 1 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of accuracies between 0 and 1, such as 0.3,0.4,0.5")
    levels = [per_cent(value) for value in values]
    if twice := next((level for level in levels if levels.count(level) > 1), None):
        raise argparse.ArgumentTypeError(f"{text!r} names {twice} % twice: leave one out")
    return values


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of steps")
    return int(text)
