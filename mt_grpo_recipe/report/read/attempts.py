"""One log file: the metrics that one attempt at a run wrote, and what is wrong with the file."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

from mt_grpo_recipe.history.files import DECISIONS, OUTCOMES

Records = dict[int, dict[str, float]]
"""Step -> metric -> number."""


@dataclass(frozen=True)
class Attempt:
    """What one file holds.

    Attributes:
        path: the file.
        records: metrics by step, in the order written. Values that are not finite numbers are left out.
        problems: sentences on lines that could not be used.
    """

    path: Path
    records: Records
    problems: tuple[str, ...]


def log_files(directory: Path) -> list[Path]:
    """The logs right in a directory: files `*.jsonl`, but for the history of decisions, and those packed with gzip."""
    found = [*directory.glob("*.jsonl"), *directory.glob("*.jsonl.gz")]
    return [file for file in found if file.name not in (DECISIONS, OUTCOMES) and file.is_file()]


def read_attempt(path: Path) -> Attempt:
    """Read a file of verl's file logger: `{"step": int, "data": {metric: number}}` on each line; `.gz` is unpacked.

    Lines that are cut off or of another shape are skipped and named in `problems`. A step written twice is merged; the
    later value of a metric counts.
    """
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            return Attempt(path, {}, (f"{path.name} cannot be unpacked and is left out: {error}",))
    # Not `splitlines`, which also cuts at marks that JSON leaves as they are, such as U+2028.
    lines = content.decode("utf-8", errors="replace").split("\n")
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    records: Records = {}
    broken: list[int] = []
    for number, line in numbered:
        parsed = _parse(line)
        if parsed is None:
            broken.append(number)
        else:
            step, data = parsed
            records.setdefault(step, {}).update(data)
    return Attempt(path, records, tuple(_problems(path.name, [n for n, _ in numbered], broken)))


def _parse(line: str) -> tuple[int, dict[str, float]] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), dict):
        return None
    step = entry.get("step")
    if not isinstance(step, int) or isinstance(step, bool) or step < 0:
        return None
    return step, {name: float(value) for name, value in entry["data"].items() if _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _problems(name: str, numbers: list[int], broken: list[int]) -> list[str]:
    if not numbers:
        return [f"{name} is empty"]
    if broken == numbers:
        return [f"{name} holds no line of verl's file logger and is left out"]
    problems = []
    if broken and broken[-1] == numbers[-1]:
        problems.append(f"{name}: the last line ({broken[-1]}) is cut off, as when a run is killed; skipped")
        broken = broken[:-1]
    if broken:
        word, them = ("line", "is") if len(broken) == 1 else ("lines", "are")
        problems.append(f"{name}: {word} {', '.join(map(str, broken))} {them} not readable; skipped")
    return problems
