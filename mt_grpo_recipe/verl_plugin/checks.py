"""What is refused before anything expensive starts: one function per rule, which returns a sentence or None.

What is set rather than refused stands in `defaults.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from omegaconf import DictConfig

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.verl_plugin.contract import VERL_VERSION, installed_verl_version
from mt_grpo_recipe.verl_plugin.defaults import ASYNC_MODE, mini_batches_per_sync

REWARD_MODULE = "reward_fns"
GROUP_ROLLOUT_MANAGER = "mt_grpo_recipe.verl_plugin.group_rollout.GroupRolloutManager"


def check_version() -> None:
    """Refuse another verl than the one whose private names this plugin uses."""
    version = installed_verl_version()
    if version != VERL_VERSION:
        raise ConfigError(
            f"verl {version} is installed; mt-grpo-recipe needs {VERL_VERSION}: pip install verl=={VERL_VERSION}"
        )


def _group_size(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    rollout_n = config.actor_rollout_ref.rollout.n
    if rollout_n >= 2:
        return None
    return (
        f"actor_rollout_ref.rollout.n={rollout_n}: a group of one rollout has no advantage. Use 2 or more "
        "(8 or 72 in the paper)."
    )


def _no_critic(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    estimator, critic = config.algorithm.adv_estimator, config.get("critic", {}).get("enable")
    if estimator != "gae" and not critic:
        return None
    return (
        f"algorithm.adv_estimator={estimator}, critic.enable={critic}: trainer mode mt_grpo has no critic. Use "
        "algorithm.adv_estimator=mt_grpo and critic.enable=False."
    )


def _loss_applies_weights(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    loss_mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if mt_grpo.loss_weighting == "none" or loss_mode == "mt_grpo":
        return None
    return (
        f"mt_grpo.loss_weighting={mt_grpo.loss_weighting} needs actor_rollout_ref.actor.policy_loss.loss_mode=mt_grpo, "
        f"the loss that applies the weights; it is {loss_mode}."
    )


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


def _rewards_at_group_end(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    model = config.reward.reward_model
    if not model.enable or model.enable_resource_pool:
        return None
    return (
        "reward.reward_model.enable=True on the devices of the policy: the sampler needs each reward when a group "
        "ends. Use a rule-based reward, or give the reward model machines of its own with "
        "reward.reward_model.enable_resource_pool=True."
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
    if config.trainer.get("max_actor_ckpt_to_keep") != 1:
        return None
    return (
        "trainer.max_actor_ckpt_to_keep=1: verl removes the old checkpoint before the new one is complete, so a "
        "kill in between would leave none. Use 2 or more."
    )


def _no_stored_rollouts(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if not config.skip.rollout_tq.enable:
        return None
    return "skip.rollout_tq.enable=True replays stored rollouts, which no task can be asked for: set it to False."


def _streaming(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if mt_grpo.sampler.schedule == "streaming":
        return None
    return (
        f"mt_grpo.sampler.schedule={mt_grpo.sampler.schedule}: a round begins with nothing and waits for all of "
        f"its groups, while trainer mode {ASYNC_MODE} keeps prompts in flight. Use streaming, or +mt_grpo=mt_grpo."
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
        f"mode {ASYNC_MODE} needs devices for rollouts alone. Use 1 or more of both, beside those of trainer.*."
    )


def _weights_cross_devices(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if config.actor_rollout_ref.rollout.checkpoint_engine.backend != "naive":
        return None
    return (
        "actor_rollout_ref.rollout.checkpoint_engine.backend=naive hands weights over within one device. Use nccl, "
        "or another engine of verl's that crosses devices (tcp on the CPU platform)."
    )


def _no_hybrid_switch(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if not config.trainer.v1.separate_async.hybrid_rollout.enable_switch:
        return None
    return (
        "trainer.v1.separate_async.hybrid_rollout.enable_switch=True waits for a number of groups of any task, "
        "while the sampler needs those of its quotas: set it to False."
    )


def _stale_groups_are_dropped(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    strategy = config.trainer.v1.sampler.max_off_policy_strategy
    if strategy == "drop":
        return None
    return (
        f"trainer.v1.sampler.max_off_policy_strategy={strategy}: waiting for groups before they are too old could "
        "hang. Use drop; dropped groups are replaced, task by task."
    )


Rule = Callable[[DictConfig, MTGRPOConfig], str | None]
"""(verl's whole training config, the checked section `mt_grpo`) -> what is wrong, as a sentence, or None."""

RULES: tuple[Rule, ...] = (
    _group_size,
    _no_critic,
    _loss_applies_weights,
    _one_epoch_per_mini_batch,
    _actor_micro_batches,
    _log_prob_micro_batches,
    _rewards_at_group_end,
    _abort_can_stop_rollouts,
    _two_checkpoints,
    _no_stored_rollouts,
)
"""What holds in every trainer mode."""

ASYNC_RULES: tuple[Rule, ...] = (
    _streaming,
    _no_abort,
    _improvement_per_step,
    _mini_batches_make_the_batch,
    _devices_for_rollouts,
    _weights_cross_devices,
    _no_hybrid_switch,
    _stale_groups_are_dropped,
)
"""What holds where rollouts go on while the policy is trained: trainer mode mt_grpo_async."""


def check_training_config(config: DictConfig, mt_grpo: MTGRPOConfig) -> None:
    """Refuse settings of verl that contradict the method. Changes nothing.

    Args:
        config: verl's whole training config.
        mt_grpo: the checked section `mt_grpo`.

    Raises:
        ConfigError: lists every setting that cannot be used.
    """
    rules = RULES + (ASYNC_RULES if config.trainer.v1.trainer_mode == ASYNC_MODE else ())
    _refuse([refusal for rule in rules if (refusal := rule(config, mt_grpo)) is not None])


def check_data(config: DictConfig, num_rows: int, data_sources: Iterable[str]) -> None:
    """Refuse a batch larger than the data, and rows that no reward function knows.

    Args:
        config: verl's whole training config.
        num_rows: rows of the tasks to train.
        data_sources: every distinct `data_source` of training and validation data.

    Raises:
        ConfigError: lists everything that is wrong.
    """
    refusals = []
    batch_size = config.data.train_batch_size
    if batch_size > num_rows:
        refusals.append(
            f"data.train_batch_size={batch_size} is larger than the training data ({num_rows} rows): a batch would "
            f"hold a prompt twice. Use a batch of at most {num_rows}, or more data."
        )
    if REWARD_MODULE in str(config.reward.custom_reward_function.path):
        refusals += [refusal for source in sorted(set(data_sources)) if (refusal := _unknown_source(source))]
    _refuse(refusals)


def _unknown_source(data_source: str) -> str | None:
    from reward_fns.registry import task_for

    try:
        task_for(data_source)
    except ValueError as error:
        return str(error)
    return None


def _refuse(refusals: list[str]) -> None:
    if refusals:
        raise ConfigError(numbered(refusals))


def numbered(sentences: list[str]) -> str:
    """One sentence as it is; several as a numbered list, one per line, under their count."""
    if len(sentences) == 1:
        return sentences[0]
    lines = [f"  {number}. {sentence}" for number, sentence in enumerate(sentences, start=1)]
    return "\n".join([f"{len(sentences)} things are wrong:", *lines])
