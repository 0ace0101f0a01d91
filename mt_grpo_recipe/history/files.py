"""Files with one JSON line per step, which a resumed run continues, and files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import reprlib
from pathlib import Path
from typing import Any

DECISIONS, OUTCOMES = "decisions.jsonl", "outcomes.jsonl"


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all: a reader sees the old file, the new one, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class StepFile:
    """A file with one JSON object per line, each with the step that it belongs to.

    Args:
        path: of the file; it need not exist.
    """

    def __init__(self, path: Path):
        self.path = path

    def append(self, step: int, data: dict[str, Any]) -> None:
        """Add a line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **data}) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """All lines but one that a kill cut short; none where there is no file.

        Raises:
            ValueError: a line is no JSON object with a step; the message says which.
        """
        rows = []
        if self.path.exists():
            for number, line in enumerate(self.path.read_text(encoding="utf-8").split("\n"), start=1):
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    break  # The end of the file, cut short; a whole line cannot follow.
                step = row.get("step") if isinstance(row, dict) else None
                if not isinstance(step, int) or isinstance(step, bool) or step < 0:
                    raise ValueError(
                        f"{self.path}, line {number}, is no object with a whole number `step`: {reprlib.repr(row)}. "
                        "Another program wrote it, or the file is damaged: restore the file, or take that line out"
                    )
                rows.append(row)
        return rows

    def rewind(self, step: int) -> None:
        """Drop the lines of later steps, which a resumed run writes again, and a line that a kill cut short."""
        if self.path.exists():
            kept = [json.dumps(row) + "\n" for row in self.rows() if row["step"] <= step]
            write_whole(self.path, "".join(kept))
