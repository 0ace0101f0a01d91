"""Which logs are one run: by their names, by `run.json` beside them, and below a directory."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mt_grpo_recipe.report.read.attempts import log_files
from mt_grpo_recipe.report.read.identity import RUN_FILE, name_of_run

HEAD_LINES = 3
"""A log may have a damaged line, but one of its first is whole."""


class RunLogError(ValueError):
    """A run that cannot be read at all; the message says which and what to give instead."""


class FoundRun(NamedTuple):
    """The logs of one run, none read yet.

    Attributes:
        path: the directory that holds the run alone, or else its first log.
        files: the logs in the order in which to join them, and beside them files that turned out to be none.
    """

    path: Path
    files: list[Path]

    @property
    def newest(self) -> Path | None:
        """The log of the latest attempt, which may be empty; None before the first attempt."""
        return next((file for file in reversed(self.files) if is_log(file)), None)


def find_run(path: Path, below: bool = True) -> FoundRun:
    """The one run at a path, as `find_runs` finds it; the path itself, without a log, where there is none yet.

    Raises:
        RunLogError: there is nothing at the path, or there are several runs.
    """
    runs = find_runs(path, below)
    if len(runs) == 1:
        return runs[0]
    first = runs[0].path
    said = f"{path} holds {len(runs)} runs: name one of them, such as {first}, or compare all with `mt-grpo report`"
    if any(run.path.is_file() for run in runs):
        said += (
            ". Logs of one run, one per attempt, have names that differ in a number at the end alone, such as "
            "metrics-1.jsonl and metrics-2.jsonl, or lie beside a run.json"
        )
    raise RunLogError(said)


def find_runs(path: Path, below: bool = True) -> list[FoundRun]:
    """The runs at a path: the file, or what is right in the directory, or else what is below it.

    Logs in one directory are attempts at one run if their names say so (`name_of_run`), or if a `run.json` is there.

    Args:
        path: a log, or a directory.
        below: whether to look below a directory that holds no log.

    Raises:
        RunLogError: there is nothing at the path.
    """
    if not path.exists():
        raise RunLogError(f"there is no run at {path}: give a directory that holds *.jsonl logs, or one such file")
    if path.is_file():
        return [FoundRun(path, [path])]
    runs = _runs_below(path, set()) if below else _runs_in(path)
    return runs or [FoundRun(path, _json_lines(path))]


def _runs_below(directory: Path, seen: set[Path]) -> list[FoundRun]:
    # A link may lead to a directory that was seen, or to one above.
    if directory.resolve() in seen:
        return []
    seen.add(directory.resolve())
    # Not below a run: what it keeps there is no run.
    if runs := _runs_in(directory):
        return runs
    below = sorted((child for child in directory.iterdir() if child.is_dir()), key=lambda d: (d.is_symlink(), d))
    return [run for child in below for run in _runs_below(child, seen)]


def _runs_in(directory: Path) -> list[FoundRun]:
    files = _json_lines(directory)
    logs = [file for file in files if is_log(file)]
    by_name: dict[str, list[Path]] = {}
    for log in logs:
        by_name.setdefault(name_of_run(log), []).append(log)
    if len(by_name) > 1 and not (directory / RUN_FILE).is_file():
        return [FoundRun(attempts[0], attempts) for attempts in by_name.values()]
    # What is no log is named as such when the run is read.
    return [FoundRun(directory, files)] if logs else []


def _json_lines(directory: Path) -> list[Path]:
    """The files right in a directory that may be logs, each once, in the order in which attempts are joined."""
    links_first = sorted(log_files(directory), key=lambda file: not file.is_symlink())
    return sorted({file.resolve(): file for file in links_first if file.is_file()}.values(), key=_natural)


def is_log(file: Path) -> bool:
    """Whether a file is one of verl's file logger, by its first lines: other JSON lines, such as data, are not.

    A file that is empty or damaged counts: it may be a log that has just begun, and is named when it is read.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            entries = [entry for line in islice(lines, HEAD_LINES) if (entry := _json(line)) is not None]
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return True
    return not entries or any(
        isinstance(entry, dict) and isinstance(entry.get("step"), int) and isinstance(entry.get("data"), dict)
        for entry in entries
    )


def _json(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _natural(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.stem)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
