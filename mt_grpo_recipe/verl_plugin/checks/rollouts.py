"""What the sampler needs of rollouts, rewards and checkpoints."""

from __future__ import annotations

from omegaconf import DictConfig

from mt_grpo_recipe.algorithm.settings import TargetsSettings
from mt_grpo_recipe.config import MTGRPOConfig
from mt_grpo_recipe.verl_plugin.defaults import ASYNC_MODE, mini_batches_per_sync

GROUP_ROLLOUT_MANAGER = "mt_grpo_recipe.verl_plugin.group_rollout.GroupRolloutManager"


def _engines_are_named(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    engines = {"actor_rollout_ref.rollout": config.actor_rollout_ref.rollout}
    if config.reward.reward_model.enable:
        engines["reward.reward_model.rollout"] = config.reward.reward_model.rollout
    unnamed = [f"{path}.name" for path, engine in engines.items() if engine.get("name") is None]
    if not unnamed:
        return None
    return (
        f"verl must be told which engine generates, and has no default for {' and '.join(unnamed)}: add "
        f"{' '.join(f'{option}=vllm' for option in unnamed)}."
    )


def _rewards_at_group_end(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    model = config.reward.reward_model
    if not model.enable or model.enable_resource_pool:
        return None
    return (
        "reward.reward_model.enable=True on the policy's devices: verl computes such rewards only after sampling, but "
        "the sampler needs each reward when a group ends. Use a rule-based reward, or give the reward model machines "
        "of its own with reward.reward_model.enable_resource_pool=True."
    )


def _abort_can_stop_rollouts(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    manager = config.actor_rollout_ref.rollout.get("agent", {}).get("agent_loop_manager_class")
    if not mt_grpo.sampler.aborts_surplus or manager == GROUP_ROLLOUT_MANAGER:
        return None
    return (
        "mt_grpo.sampler.surplus=abort needs rollouts that can be stopped: add "
        f"+actor_rollout_ref.rollout.agent.agent_loop_manager_class={GROUP_ROLLOUT_MANAGER}, or use drain."
    )


def _two_checkpoints(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    # The second is verl's old name for the first.
    given = {"max_actor_ckpt_to_keep": 1, "remove_previous_ckpt_in_save": True}
    name = next((name for name, value in given.items() if config.trainer.get(name) == value), None)
    if name is None:
        return None
    return (
        f"trainer.{name}={given[name]}: verl removes the old checkpoint before the new one is complete, so a "
        "kill in between would leave none. Use trainer.max_actor_ckpt_to_keep=2 or more."
    )


def _checkpoint_where_it_ends(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    weights = mt_grpo.weights
    if not (isinstance(weights, TargetsSettings) and weights.stop_when_met) or config.trainer.save_freq > 0:
        return None
    return (
        f"trainer.save_freq={config.trainer.save_freq} saves no checkpoint, and mt_grpo.weights.stop_when_met=true "
        "ends the run with one. Set trainer.save_freq to the steps between two checkpoints."
    )


def _no_stored_rollouts(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if not config.skip.rollout_tq.enable:
        return None
    return "skip.rollout_tq.enable=True replays stored rollouts, which cannot be asked for by task: set it to False."


def _queue_holds_a_step(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    queue, rollouts = config.transfer_queue.backend, config.actor_rollout_ref.rollout.n
    limit = queue.SimpleStorage.total_storage_size
    batch = config.data.train_batch_size
    # Where rollouts go on during training, a mini-batch is a step; what is held for the next one comes on top.
    parts = mini_batches_per_sync(config) if config.trainer.v1.trainer_mode == ASYNC_MODE else 1
    groups = mt_grpo.sampler.most_groups(batch // parts)
    if queue.storage_backend != "SimpleStorage" or limit is None or groups * rollouts <= limit:
        return None
    return (
        f"transfer_queue.backend.SimpleStorage.total_storage_size={limit} rows: a step may generate "
        f"{groups * rollouts} rollouts or more ({groups} groups of actor_rollout_ref.rollout.n={rollouts}), which the "
        "queue keeps until the step ends, and beyond its limit every group fails. Leave it at null, which is no limit."
    )


RULES = (
    _engines_are_named,
    _rewards_at_group_end,
    _abort_can_stop_rollouts,
    _two_checkpoints,
    _checkpoint_where_it_ends,
    _no_stored_rollouts,
    _queue_holds_a_step,
)
