"""The log of decisions beside a run's checkpoints: it has a step before that step's metrics are logged."""

from __future__ import annotations

import json
from pathlib import Path

from mt_grpo_recipe.history.files import DECISIONS

PLACES = (DECISIONS, f"checkpoints/{DECISIONS}")
"""Where it is in a run's directory: the scripts keep checkpoints in a folder of their own."""
TAIL = 1 << 20
"""Bytes read from the end: more than any line has."""


def last_decided_step(run: Path) -> int | None:
    """The last step that the log of decisions has; None where there is no such log, or its last line is no whole step.

    Args:
        run: a run's directory, or a log file in it.
    """
    directory = run if run.is_dir() else run.parent
    for place in PLACES:
        file = directory / place
        if file.is_file():
            with file.open("rb") as log:
                log.seek(max(0, file.stat().st_size - TAIL))
                whole = log.read().split(b"\n")[:-1]
            return _step_of(whole[-1]) if whole else None
    return None


def _step_of(line: bytes) -> int | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row.get("step") if isinstance(row, dict) else None
