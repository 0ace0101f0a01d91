"""What the plugin sets in verl's config. Each change is logged with its reason: as a warning where it replaces a value,
at INFO where there was none."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

logger = logging.getLogger(__name__)
ASYNC_MODE = "mt_grpo_async"

COUNTED_IN_STEPS = ("total_training_steps", "lr_warmup_steps", "lr_decay_steps", "lr_wsd_decay_steps")
"""Lengths in the optimiser's section that make up the learning rate schedule, in one backend or another."""


def set_defaults(config: DictConfig) -> None:
    """Set what a task sampler needs, and fill in what was left open.

    Args:
        config: verl's whole training config; changed in place.
    """
    _set(
        config,
        "data.dataloader_num_workers",
        0,
        "workers prefetch prompts before the task weights that should choose them exist",
    )
    _set(config, "data.gen_batch_size", 1, "each prompt is asked for by its task, one at a time")
    v1 = config.trainer.v1
    if v1.trainer_mode == ASYNC_MODE and v1.separate_async.parameter_sync_step is None:
        _set(
            config,
            "trainer.v1.separate_async.parameter_sync_step",
            mini_batches_per_sync(config),
            "data.train_batch_size over actor_rollout_ref.actor.ppo_mini_batch_size, as it was not given",
        )


def stretch_learning_rate(config: DictConfig, updates_per_step: int) -> None:
    """Let the learning rate schedule last as many steps as it would with one call of verl's update per step.

    verl advances it once per call. With one call per mini-batch, all lengths must be in mini-batches.

    Args:
        config: verl's whole training config, with the number of training steps filled in; changed in place.
        updates_per_step: calls in a step whose batch is full. Shorter ones make fewer, and the schedule takes longer.
    """
    optim = config.actor_rollout_ref.actor.optim
    for name in COUNTED_IN_STEPS:
        steps = optim.get(name)
        if updates_per_step > 1 and steps and steps > 0:
            _set(
                config,
                f"actor_rollout_ref.actor.optim.{name}",
                steps * updates_per_step,
                f"the learning rate advances with each of the {updates_per_step} mini-batches of a step",
            )


def mini_batches_per_sync(config: DictConfig) -> int:
    """Mini-batches between two weight syncs: `parameter_sync_step`, or as many as fit into a batch where it is null."""
    given = config.trainer.v1.separate_async.parameter_sync_step
    fit = config.data.train_batch_size // config.actor_rollout_ref.actor.ppo_mini_batch_size
    return max(1, fit) if given is None else given


def _set(config: DictConfig, name: str, value: Any, reason: str) -> None:
    given = OmegaConf.select(config, name)
    if given == value:
        return
    with open_dict(config):
        OmegaConf.update(config, name, value)
    if given is None:
        logger.info("%s is set to %s: %s.", name, value, reason)
    else:
        logger.warning("%s=%s is set to %s: %s.", name, given, value, reason)
