"""How a batch is cut for the updates: mini-batches, micro-batches, the learning rate."""

from __future__ import annotations

from omegaconf import DictConfig

from mt_grpo_recipe.config import MTGRPOConfig


def _one_epoch_per_mini_batch(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    epochs = config.actor_rollout_ref.actor.ppo_epochs
    if mt_grpo.improvement.granularity != "mini_batch" or epochs == 1:
        return None
    return (
        "mt_grpo.improvement.granularity=mini_batch needs actor_rollout_ref.actor.ppo_epochs=1; it is "
        f"{epochs}. Use that, or mt_grpo.improvement.granularity=step."
    )


def _micro_batches_divide(name: str, dynamic: bool, micro_batch: int | None, config: DictConfig) -> str | None:
    """A short batch is padded to whole mini-batches; fixed micro-batches must be able to cut those."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    rows = actor.ppo_mini_batch_size * rollout.n
    if dynamic or not micro_batch or rows % micro_batch == 0:
        return None
    return (
        f"actor_rollout_ref.{name}={micro_batch} does not divide a mini-batch of {rows} rollouts "
        f"(ppo_mini_batch_size {actor.ppo_mini_batch_size} x rollout.n {rollout.n}), so a batch that fell "
        "short could not be trained on. Use actor_rollout_ref.actor.use_dynamic_bsz=True, or a divisor."
    )


def _actor_micro_batches(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    actor = config.actor_rollout_ref.actor
    name, micro_batch = "actor.ppo_micro_batch_size_per_gpu", actor.ppo_micro_batch_size_per_gpu
    return _micro_batches_divide(name, actor.use_dynamic_bsz, micro_batch, config)


def _log_prob_micro_batches(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    rollout = config.actor_rollout_ref.rollout
    name, micro_batch = "rollout.log_prob_micro_batch_size_per_gpu", rollout.log_prob_micro_batch_size_per_gpu
    return _micro_batches_divide(name, rollout.log_prob_use_dynamic_bsz, micro_batch, config)


RULES = (
    _one_epoch_per_mini_batch,
    _actor_micro_batches,
    _log_prob_micro_batches,
)
