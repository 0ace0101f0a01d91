"""`mt-grpo watch`: a run while it trains, as a live view or one line per step."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from mt_grpo_recipe.report.measure.progress import progress_of
from mt_grpo_recipe.report.read.attempts import log_files
from mt_grpo_recipe.report.read.finding import find_run
from mt_grpo_recipe.report.read.log import Run, RunLogError, read_run
from mt_grpo_recipe.report.show.live import run_view, step_line
from mt_grpo_recipe.report.show.tables import duration

POLL_SECONDS = 1.0
QUIET_SECONDS = 60.0
"""Say for how long nothing was logged, once it is longer than this."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, which tells a script to stop, too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run", metavar="RUN", help="a run's directory, where its *.jsonl logs are or will be, or one such file"
    )
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--once", action="store_true", help="print the table once and exit")
    until.add_argument("--pid", type=int, help="exit when this process ends, too, not only when the run has finished")


def run(args: argparse.Namespace) -> int:
    """Show where a run stands: live in a terminal, one line per step elsewhere, or once.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        RunLogError: there is nothing at the path, or there are several runs; with `--once`, no step can be read.
    """
    path = find_run(Path(args.run)).path
    console = Console(highlight=False)
    if not console.is_terminal:
        # A file or a pipe has no width, so no task's name may be cut to fit.
        console.width = max(console.width, 140)
    if args.once:
        console.print(run_view(read_run(path), console.width))
        return 0
    show = _show_live if console.is_terminal else _print_lines
    try:
        show(path, _follow(path, args.pid), console)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _follow(path: Path, pid: int | None) -> Iterator[Run | None]:
    """The run once per second, None before anything can be read, until it has finished or the process has ended."""
    seen: dict[Path, tuple[int, int]] = {}
    watched = None
    while True:
        # Checked before the log is read, so that the process's last lines are read.
        alive = pid is None or _is_alive(pid)
        stamps = {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in _logs(path)}
        if stamps != seen:
            seen, watched = stamps, _read(path)
        yield watched
        if not alive or (watched is not None and progress_of(watched).finished):
            return
        time.sleep(POLL_SECONDS)


def _logs(path: Path) -> list[Path]:
    return [path] if path.is_file() else log_files(path)


def _read(path: Path) -> Run | None:
    try:
        return read_run(path)
    except RunLogError:
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # It exists, but belongs to another user.
        return True
    return True


def _show_live(path: Path, states: Iterator[Run | None], console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        for watched in states:
            parts = [
                Text(f"Waiting for the first step of {path}") if watched is None else run_view(watched, console.width)
            ]
            quiet = time.time() - max((file.stat().st_mtime for file in _logs(path)), default=time.time())
            if quiet > QUIET_SECONDS:
                parts.append(Text(f"Nothing was logged for {duration(quiet)}.", style="yellow"))
            live.update(Group(*parts), refresh=True)


def _print_lines(path: Path, states: Iterator[Run | None], console: Console) -> None:
    printed = -1  # Step 0 is the validation before training.
    for number, watched in enumerate(states):
        if watched is None:
            if number == 0:
                console.print(_waiting(path), soft_wrap=True, markup=False)
            continue
        for step in [step for step in watched.records if step > printed]:
            console.print(step_line(watched, step), soft_wrap=True, markup=False)
            printed = step


def _waiting(path: Path) -> str:
    return f"Waiting for the first step of {path}; a training run takes a minute or more to start."
