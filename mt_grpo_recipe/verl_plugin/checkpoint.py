"""The controller's state in verl's checkpoint folder, as one JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

STATE_FILE = "mt_grpo.json"


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state whole or not at all: a reader sees the old file, the new one, or none."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{STATE_FILE}.{os.getpid()}"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / STATE_FILE)


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
