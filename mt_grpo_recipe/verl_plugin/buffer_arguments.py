"""What verl gives a replay buffer, read from its config for a trainer mode that verl does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from omegaconf import DictConfig


class VerlBufferArguments(TypedDict):
    """By the names of `ReplayBuffer.__init__`."""

    trainer_mode: str
    trainer_config: DictConfig
    max_off_policy_threshold: int | None
    max_off_policy_strategy: str
    sampler_kwargs: DictConfig
    refill_fn: Callable[[int], Any]


def verl_buffer_arguments(config: DictConfig, verl_mode: str, refill_fn: Callable[[int], Any]) -> VerlBufferArguments:
    """What the buffer of a trainer that works like this mode of verl's gets.

    Args:
        config: verl's whole training config.
        verl_mode: a trainer mode of verl.
        refill_fn: number of prompts -> submits that many.
    """
    sampler = config.trainer.v1.sampler
    return {
        "trainer_mode": verl_mode,
        "trainer_config": config.trainer.v1.get(verl_mode, {}),
        "max_off_policy_threshold": sampler.max_off_policy_threshold,
        "max_off_policy_strategy": sampler.max_off_policy_strategy,
        "sampler_kwargs": sampler.sampler_kwargs,
        "refill_fn": refill_fn,
    }
