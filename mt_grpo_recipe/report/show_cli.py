"""`mt-grpo show`: one run as a table in the terminal and as one picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from mt_grpo_recipe.cli import picture
from mt_grpo_recipe.report.read.finding import find_run
from mt_grpo_recipe.report.read.log import read_run
from mt_grpo_recipe.report.show.one_run import LEAST_WIDTH, run_notes, run_table
from mt_grpo_recipe.report.show.one_run_picture import draw_run

PICTURE = "run.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", metavar="RUN", help="a run's directory with its *.jsonl logs, or one such file")
    parser.add_argument(
        "-o",
        "--output",
        type=picture,
        metavar="FILE",
        help=f"where the picture goes, as .png, .svg or .pdf (default: {PICTURE} beside the log)",
    )


def run(args: argparse.Namespace) -> int:
    """Print what a run did, task by task, and draw it.

    Returns:
        0.

    Raises:
        RunLogError: there is no run, it has no log that can be read, or there are several.
    """
    shown = read_run(find_run(Path(args.run)))
    console = Console(highlight=False, emoji=False)
    # A file or a pipe has no width, so no task's name may be cut to fit.
    console.width = max(console.width, LEAST_WIDTH if console.is_terminal else 120)
    console.print(run_table(shown))
    for note in run_notes(shown):
        console.print(note, style="dim", soft_wrap=True, markup=False)
    # Paths stay on one line however narrow the terminal, so that they can be copied and parsed.
    for file in shown.files:
        console.print(f"metrics: {file.resolve()}", soft_wrap=True, markup=False)
    drawn = draw_run(shown, args.output or shown.files[0].parent / PICTURE)
    console.print(f"picture: {drawn.resolve()}", soft_wrap=True, markup=False)
    return 0
