"""What holds where rollouts go on while the policy is trained: trainer mode mt_grpo_async."""

from __future__ import annotations

from omegaconf import DictConfig

from mt_grpo_recipe.config import MTGRPOConfig
from mt_grpo_recipe.verl_plugin.defaults import ASYNC_MODE, mini_batches_per_sync


def _streaming(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if mt_grpo.sampler.schedule == "streaming":
        return None
    return (
        f"mt_grpo.sampler.schedule={mt_grpo.sampler.schedule}: a step begins with nothing in flight and waits for "
        f"all its groups, while trainer mode {ASYNC_MODE} keeps prompts in flight. Use streaming, or +mt_grpo=mt_grpo."
    )


def _no_abort(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if not mt_grpo.sampler.aborts_surplus:
        return None
    return (
        f"mt_grpo.sampler.surplus=abort: in trainer mode {ASYNC_MODE} a group still in flight goes to the next "
        "mini-batch, so there is none to abort. Leave mt_grpo.sampler.surplus=drain."
    )


def _improvement_per_step(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if mt_grpo.improvement.granularity != "mini_batch":
        return None
    return (
        f"mt_grpo.improvement.granularity=mini_batch: in trainer mode {ASYNC_MODE} every mini-batch is a step of "
        "its own already. Use step."
    )


def _mini_batches_make_the_batch(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    batch, mini_batch = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    count = mini_batches_per_sync(config)
    if batch == count * mini_batch:
        return None
    return (
        f"data.train_batch_size={batch} is what is trained on between two weight syncs, so it must be "
        f"trainer.v1.separate_async.parameter_sync_step ({count}) mini-batches of "
        f"actor_rollout_ref.actor.ppo_mini_batch_size ({mini_batch}). Change one of the three."
    )


def _devices_for_rollouts(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    rollout = config.actor_rollout_ref.rollout
    if rollout.nnodes >= 1 and rollout.n_gpus_per_node >= 1:
        return None
    return (
        f"actor_rollout_ref.rollout.nnodes={rollout.nnodes}, n_gpus_per_node={rollout.n_gpus_per_node}: trainer "
        f"mode {ASYNC_MODE} needs devices reserved for rollouts. Set both to 1 or more, in addition to trainer.*."
    )


def _weights_cross_devices(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if config.actor_rollout_ref.rollout.checkpoint_engine.backend != "naive":
        return None
    return (
        "actor_rollout_ref.rollout.checkpoint_engine.backend=naive hands weights over within one device. Use nccl, "
        "or another engine of verl that crosses devices (tcp on the CPU platform)."
    )


def _no_hybrid_switch(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if not config.trainer.v1.separate_async.hybrid_rollout.enable_switch:
        return None
    return (
        "trainer.v1.separate_async.hybrid_rollout.enable_switch=True waits for a number of groups, whatever "
        "their task, while the sampler needs a quota of each task: set it to False."
    )


def _stale_groups_are_dropped(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    strategy = config.trainer.v1.sampler.max_off_policy_strategy
    if strategy == "drop":
        return None
    return (
        f"trainer.v1.sampler.max_off_policy_strategy={strategy}: waiting for groups before they are too old could "
        "hang. Use drop; dropped groups are replaced, task by task."
    )


RULES = (
    _streaming,
    _no_abort,
    _improvement_per_step,
    _mini_batches_make_the_batch,
    _devices_for_rollouts,
    _weights_cross_devices,
    _no_hybrid_switch,
    _stale_groups_are_dropped,
)
