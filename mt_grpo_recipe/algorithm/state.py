"""Which saved states a controller can continue from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATE_VERSION = 5


class StateMismatch(ValueError):
    """A checkpoint of another set-up; the message names what differs."""


def check_state(state: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Refuse a state of another format or set-up.

    Args:
        state: what was saved.
        mine: what the controller that is to continue from it would save now.

    Raises:
        StateMismatch: the state has another format, or belongs to other tasks, another rule, seed or batch size.
    """
    if state.get("version") != STATE_VERSION:
        raise StateMismatch(
            f"The checkpoint's task weights are of format {state.get('version')}, this version of mt-grpo-recipe "
            f"reads format {STATE_VERSION}: go on with the version that wrote it, or start afresh with "
            "trainer.resume_mode=disable."
        )
    differing = [
        f"{key}: the checkpoint has {state.get(key)!r}, this run has {mine[key]!r}"
        for key in ("tasks", "rule", "seed", "batch_size")
        if state.get(key) != mine[key]
    ]
    if differing:
        raise StateMismatch(
            "The checkpoint was written by a different set-up and cannot be resumed. "
            + "; ".join(differing)
            + ". Restore the old settings, or start afresh with trainer.resume_mode=disable."
        )
