"""What the sampler needs of rollouts, rewards and checkpoints."""

from __future__ import annotations

from omegaconf import DictConfig

from mt_grpo_recipe.algorithm.settings import TargetsSettings
from mt_grpo_recipe.config import MTGRPOConfig

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


RULES = (
    _engines_are_named,
    _rewards_at_group_end,
    _abort_can_stop_rollouts,
    _two_checkpoints,
    _checkpoint_where_it_ends,
    _no_stored_rollouts,
)
