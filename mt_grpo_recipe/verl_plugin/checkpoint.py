"""What the plugin keeps on disk: the controller's state in verl's checkpoint folders, and the log of its decisions."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
STATE_FILE = "mt_grpo.json"
MARKER = "latest_checkpointed_iteration.txt"
"""verl's file that names the checkpoint to resume from; written last, but not at once."""
DECISIONS = "decisions.jsonl"


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state whole or not at all: a reader sees the old file, the new one, or none."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / STATE_FILE, json.dumps(state, indent=1))


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_state(folder: Path) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises:
        FileNotFoundError: the checkpoint holds no such state; the message says what to do.
    """
    path = folder / STATE_FILE
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: the checkpoint was not written by trainer mode mt_grpo, so task weights cannot be "
            "resumed. Start from its weights instead: trainer.resume_mode=disable and actor_rollout_ref.model.path "
            "set to the exported model."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def repair_marker(folder: Path) -> None:
    """Name the newest checkpoint in verl's marker where a kill left the marker empty.

    verl empties the file before it writes the number, after all else of the checkpoint is on disk. A kill in between
    would make every later start fail over the number that is not there.

    Args:
        folder: the run's checkpoint folder, `trainer.default_local_dir`.
    """
    marker = folder / MARKER
    if not marker.exists() or marker.read_text(encoding="utf-8").strip():
        return
    steps = [int(path.parent.name.removeprefix("global_step_")) for path in folder.glob(f"global_step_*/{STATE_FILE}")]
    if not steps:
        marker.unlink()
        return
    logger.warning("%s was left empty by a kill; the newest checkpoint, of step %d, is taken.", marker, max(steps))
    _write_whole(marker, str(max(steps)))


class DecisionLog:
    """One JSON line a step (a mini-batch in mode mt_grpo_async): what was decided, so that two runs, or a run and its
    resumed half, can be compared.

    Args:
        folder: the run's checkpoint folder.
    """

    def __init__(self, folder: Path):
        self._path = folder / DECISIONS

    def append(self, step: int, decision: dict[str, Any]) -> None:
        """Add the line of a step."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **decision}) + "\n")

    def rewind(self, step: int) -> None:
        """Drop the lines of later steps, which a resumed run decides again, and a line that a kill cut short."""
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                break  # The end of the file, cut short; a whole line cannot follow.
            if row["step"] <= step:
                kept.append(line + "\n")
        _write_whole(self._path, "".join(kept))
