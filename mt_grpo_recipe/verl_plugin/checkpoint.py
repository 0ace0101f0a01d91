"""The controller's state in verl's checkpoint folders, and which of these a run resumes from."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.streaks import FAILING_STEPS_LIMIT
from mt_grpo_recipe.history.files import write_whole
from mt_grpo_recipe.verl_plugin.task_loader import TaskLoader

logger = logging.getLogger(__name__)
STATE_FILE = "mt_grpo.json"
DATA_FILE = "data.pt"
"""verl's file of the dataloader's state."""
MARKER = "latest_checkpointed_iteration.txt"
"""verl's file that names the checkpoint to resume from; written last, but not at once."""


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state whole or not at all: a reader sees the old file, the new one, or none."""
    write_whole(folder / STATE_FILE, json.dumps(state, indent=1))


def read_state(folder: Path) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises:
        FileNotFoundError: the checkpoint holds no such state; the message says what to do.
    """
    path = folder / STATE_FILE
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder} to resume from: correct trainer.resume_from_path.")
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
    steps = _steps_saved(folder)
    if not steps:
        marker.unlink()
        return
    logger.warning("%s was left empty by a kill; the newest checkpoint, of step %d, is taken.", marker, max(steps))
    write_whole(marker, str(max(steps)))


def resumed_folder(config: DictConfig) -> Path | None:
    """The checkpoint that verl will resume from; None if the run starts afresh.

    Args:
        config: verl's whole training config.

    Raises:
        ValueError: a checkpoint is to be named, and none is.
        FileNotFoundError: the newest checkpoint, by verl's marker, is gone; verl would start afresh in its place.
    """
    if config.trainer.resume_mode == "resume_path":
        if not config.trainer.resume_from_path:
            raise ValueError(
                "trainer.resume_mode=resume_path needs trainer.resume_from_path; it is "
                f"{config.trainer.resume_from_path!r}. Name the folder of a checkpoint, such as "
                "checkpoints/global_step_40."
            )
        if not re.fullmatch(r"(.*/)?global_step_\d+", str(config.trainer.resume_from_path)):
            raise ValueError(
                f"trainer.resume_from_path={config.trainer.resume_from_path} does not end in global_step_<number>, "
                "from which verl reads the step. Name the folder of a checkpoint, such as checkpoints/global_step_40, "
                "without a slash at the end."
            )
        return Path.cwd() / config.trainer.resume_from_path
    if config.trainer.resume_mode != "auto":
        return None
    folder = Path.cwd() / config.trainer.default_local_dir
    repair_marker(folder)
    if not (folder / MARKER).exists():
        return None
    newest = folder / f"global_step_{int((folder / MARKER).read_text(encoding='utf-8'))}"
    if not newest.exists():
        whole = _steps_saved(folder)
        others = f"write {max(whole)} into it to go on from step {max(whole)}" if whole else "no other one is there"
        raise FileNotFoundError(
            f"{folder / MARKER} names {newest.name}, which is missing: {others}; or remove the file, or move the "
            "folder away, to start afresh."
        )
    return newest


def save_unsaved(trainer: Any) -> None:
    """Save a run that stops since nothing finished in the last steps, if it trained after it last saved.

    Nothing is saved within an asynchronous step, whose other mini-batches are in flight.

    Args:
        trainer: of verl, with the plugin's `_save_checkpoint`.
    """
    config = trainer.config.trainer
    if trainer.trainer_mode != "sync" or config.save_freq <= 0:
        return
    marker = Path.cwd() / config.default_local_dir / MARKER
    saved = int(marker.read_text(encoding="utf-8").strip() or 0) if marker.exists() else 0
    if trainer.global_steps - FAILING_STEPS_LIMIT > saved:
        trainer._save_checkpoint()


def _steps_saved(folder: Path) -> list[int]:
    """Steps whose checkpoints are there as a whole."""
    return [int(path.parent.name.removeprefix("global_step_")) for path in folder.glob(f"global_step_*/{DATA_FILE}")]


def resume_early(folder: Path, controller: TaskController, loader: TaskLoader) -> None:
    """Take in what verl's checkpoint holds of ours, before models are loaded, so that another run's is refused at once.

    verl loads checkpoints after all else, minutes later with a large model; doing it again then changes nothing.

    Args:
        folder: what the run resumes from.

    Raises:
        StateMismatch: it belongs to a run with other tasks, settings or data.
    """
    controller.load_state_dict(read_state(folder))
    if (folder / DATA_FILE).exists():
        loader.load_state_dict(torch.load(folder / DATA_FILE, weights_only=False))
