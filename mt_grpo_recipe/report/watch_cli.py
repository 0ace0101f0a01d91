"""`mt-grpo watch`: a run while it trains, as a live view or one line per step."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mt_grpo_recipe.report.measure.progress import progress_of
from mt_grpo_recipe.report.read.attempts import Records, read_attempt
from mt_grpo_recipe.report.read.finding import FoundRun, RunLogError, find_run
from mt_grpo_recipe.report.read.joining import is_training, training_metrics
from mt_grpo_recipe.report.read.log import Run, read_run
from mt_grpo_recipe.report.show.live import FRESH_SECONDS, run_view, step_line
from mt_grpo_recipe.report.show.tables import duration

POLL_SECONDS = 1.0
QUIET_SECONDS = 60.0
"""Say for how long nothing was logged, once it is longer than this."""
LARGEST_PID = 2**31 - 1
ENDED = ("Z", "X")
"""States of a process in /proc/PID/stat that has ended."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, which tells a script to stop, too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run", metavar="RUN", help="a run's directory, where its *.jsonl logs are or will be, or one such file"
    )
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--once", action="store_true", help="print the table once and exit")
    until.add_argument(
        "--pid",
        type=_pid,
        help="exit when this process ends, and not before, even if the log says that the run has finished; its "
        "logs are right in RUN and not below it (default: exit when the run has finished)",
    )


def _pid(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= LARGEST_PID):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no process: give its number, from 1 to {LARGEST_PID}, such as $! in the shell that started it"
        )
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Show where a run stands: live in a terminal, one line per step elsewhere, or once.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        RunLogError: there is nothing at the path, or there are several runs; with `--once`, no step can be read.
    """
    path = Path(args.run)
    found = find_run(path, below=args.pid is None)  # Refused before anything is drawn.
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        # A file or a pipe has no width, so no task's name may be cut to fit.
        console.width = max(console.width, 140)
    if args.once:
        console.print(_view(read_run(found), console))
        return 0
    # A terminal that cannot move its cursor would show nothing before the end.
    show = _show_live if console.is_terminal and not console.is_dumb_terminal else _print_lines
    try:
        show(path, _follow(path, args.pid), console)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


class State(NamedTuple):
    """What is there of a run: its logs, and what they say; None before there is a step."""

    found: FoundRun
    run: Run | None

    @property
    def silent(self) -> float:
        """Seconds since the latest attempt wrote to its log; 0 before it has one."""
        newest = self.found.newest
        return 0.0 if newest is None else time.time() - newest.stat().st_mtime


def _follow(path: Path, pid: int | None) -> Iterator[State]:
    """The run once per second until it has ended."""
    seen: dict[Path, tuple[int, int]] = {}
    watched = None
    while True:
        # Checked before the log is read, so that the process's last lines are read.
        alive = pid is not None and _is_alive(pid)
        # Until there is something to read, a log may still appear in a place that fits better.
        found = find_run(path if watched is None else watched.path, below=pid is None)
        stamps = {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in found.files}
        if stamps != seen:
            seen, watched = stamps, _read(found)
        state = State(found, watched)
        yield state
        if (not alive) if pid is not None else _has_ended(state):
            return
        time.sleep(POLL_SECONDS)


def _read(found: FoundRun) -> Run | None:
    try:
        return read_run(found)
    except RunLogError:  # There is no step yet.
        return None


def _has_ended(state: State) -> bool:
    """Whether the run has finished, and no attempt has begun to take it further."""
    if state.run is None or not progress_of(state.run).finished:
        return False
    newest = state.found.newest
    begun = newest is not None and not any(map(is_training, read_attempt(newest).records.values()))
    # One that is silent for long died before its first step.
    return not begun or state.silent > FRESH_SECONDS


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended does not, even if its parent has not asked for its status."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # It exists, but belongs to another user.
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True  # There is no /proc to ask, or it has just ended, which the next look tells.
    # The state follows the command's name in brackets, which may hold brackets, too.
    return stat.rpartition(")")[2].split()[0] not in ENDED


def _show_live(path: Path, states: Iterator[State], console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        for state in states:
            waiting = Text(f"Waiting for the first step of {path}")
            parts = [waiting if state.run is None else _view(state.run, console)]
            if state.silent > QUIET_SECONDS:
                parts.append(Text(f"Nothing was logged for {duration(state.silent)}.", style="yellow"))
            live.update(Group(*parts), refresh=True)


def _view(run: Run, console: Console) -> RenderableType:
    return run_view(run, console.width, console.options.ascii_only)


def _print_lines(path: Path, states: Iterator[State], console: Console) -> None:
    printed: Records = {}
    for number, (_, run) in enumerate(states):
        if run is None:
            if number == 0:
                console.print(_waiting(path), soft_wrap=True, markup=False)
            continue
        again = _first_trained_again(printed, run.records)
        if again is not None:
            console.print(f"The run went back to step {again - 1}; the steps after it are trained again.")
            printed = {step: data for step, data in printed.items() if step < again}
        for step in [step for step in run.records if step > max(printed, default=-1)]:
            console.print(step_line(run, step), soft_wrap=True, markup=False)
            printed[step] = run.records[step]


def _first_trained_again(printed: Records, records: Records) -> int | None:
    """The first of the printed steps that a new attempt has trained anew or thrown away; None if none is."""
    for step, data in printed.items():
        now = training_metrics(records.get(step, {}))
        anew = bool(now) and any(now.get(name) != value for name, value in training_metrics(data).items())
        # A log that was overwritten begins later: what lies before that was not thrown away.
        if anew or (step not in records and step > min(records)):
            return step
    return None


def _waiting(path: Path) -> str:
    return f"Waiting for the first step of {path}; a training run takes a minute or more to start."
