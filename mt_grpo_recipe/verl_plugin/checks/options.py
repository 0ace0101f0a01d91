"""Options of verl that a task sampler does not honour: refused where the run would not be what was asked for, else
logged."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig, unread_improvement, unread_settings
from mt_grpo_recipe.verl_plugin.checks.distillation import UNFILTERED, dropped_groups_have_a_teacher
from mt_grpo_recipe.verl_plugin.checks.method import flat_groups_have_kl_advantages
from mt_grpo_recipe.verl_plugin.defaults import ASYNC_MODE

logger = logging.getLogger(__name__)
MODES = ("mt_grpo", ASYNC_MODE)

NOT_DONE = {
    "algorithm.filter_groups.enable": (
        "the sampler filters groups itself. Use mt_grpo.sampler.drop_uninformative=true, with "
        "mt_grpo.sampler.informative=mixed or spread to say which groups stay"
    ),
    "algorithm.use_pf_ppo": "it reweights samples by a critic's advantages, and there is no critic. Leave it out",
    "custom_reward_function.path": "verl's V1 trainers read reward.custom_reward_function.path. Use that",
    "reward_model.enable": "verl's V1 trainers read reward.reward_model.enable. Use that",
    "reward_model.reward_manager": "verl's V1 trainers read reward.reward_manager.name. Use that",
    "sandbox_fusion.url": "verl's V1 trainers read reward.sandbox_fusion.url. Use that",
    "data.sampler": "prompts are drawn task by task. Use mt_grpo.weights and mt_grpo.sampler, or leave out +mt_grpo",
    "data.train_weights": (
        "the shares of the tasks are mt_grpo.weights. Use mt_grpo.weights.rule=fixed with "
        "mt_grpo.weights.initial=[...], in the order of mt_grpo.tasks"
    ),
    "trainer.critic_warmup": "without a critic, those steps would generate rollouts and train nothing. Use 0",
    "trainer.v1.sampler.custom_sampler.path": "the replay buffer is the plugin's. Leave it out, or leave out +mt_grpo",
    "trainer.v1.sampler.custom_sampler.name": "the replay buffer is the plugin's. Leave it out, or leave out +mt_grpo",
}
"""Option -> why a value that asks for something cannot be had, and what to do."""

EPOCHS = "trainer.total_epochs"
ROLLOUT = "actor_rollout_ref.rollout"
VALIDATION_SAMPLES = f"{ROLLOUT}.val_kwargs.do_sample"
NO_EFFECT = {
    "actor_rollout_ref.actor.grad_clip": (
        1.0,
        "verl clips the norm of the gradient at actor_rollout_ref.actor.optim.clip_grad; set that",
    ),
    "actor_rollout_ref.actor.freeze_vision_tower": (
        False,
        "no engine of verl reads it; the vision tower is trained",
    ),
    "actor_rollout_ref.actor.use_prefix_grouper": (
        False,
        "verl's V1 trainers compute a shared prompt once per rollout",
    ),
    VALIDATION_SAMPLES: (
        False,
        f"with {ROLLOUT}.val_kwargs.temperature=0 validation takes the most likely token; set that temperature",
    ),
    f"{ROLLOUT}.multi_stage_wake_up": (False, "verl wakes weights and cache of an engine as each of them is needed"),
    f"{ROLLOUT}.trace.backend": (
        None,
        "verl's V1 trainers trace no rollout; trainer.rollout_data_dir writes those of each step to a file",
    ),
    "data.shuffle": (
        True,
        "every task goes through its rows in a seeded random order; mt_grpo.seed chooses another (a dataset class of "
        "your own may read it)",
    ),
    "data.seed": (
        None,
        "the rows and their order are drawn from mt_grpo.seed; set that (a dataset class of your own may read it)",
    ),
    "data.reward_fn_key": (
        "data_source",
        "verl's V1 trainers choose the reward by the column data_source; give the column of the data that name",
    ),
    "data.truncation": (
        "error",
        "a prompt of more than data.max_prompt_length tokens loses its beginning; data.filter_overlong_prompts=True "
        "drops it (a dataset class of your own may read it)",
    ),
    "trainer.balance_batch": (True, "verl's V1 trainers always give each rank rows of similar length in all"),
    "trainer.ray_wait_register_center_timeout": (300, "verl's V1 trainers do not pass it on to their workers"),
    "trainer.v1.sampler.sync_refill_failed_groups": (
        False,
        "a group that fails is replaced in any case, as far as the budget of the step goes",
    ),
    EPOCHS: (30, "a task sampler has no epochs; the run lasts trainer.total_training_steps"),
    "skip.rollout.enable": (False, "stored rollouts are not replayed, since they cannot be asked for by task"),
    "skip.async_rollout.enable": (
        False,
        "stored rollouts are not replayed, since they cannot be asked for by task",
    ),
}
"""Option -> (verl's default, what holds instead)."""


def _not_done(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    given = {name: OmegaConf.select(config, name) for name in NOT_DONE}
    refusals = [f"{name}={value}: {NOT_DONE[name]}." for name, value in given.items() if value]
    return " ".join(refusals) or None


def _trainer_of_ours(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    return _other_trainer(config.trainer)


def _other_trainer(trainer: DictConfig) -> str | None:
    if trainer.use_v1 and trainer.v1.trainer_mode in MODES:
        return None
    return (
        f"trainer.use_v1={trainer.use_v1}, trainer.v1.trainer_mode={trainer.v1.trainer_mode}: only the "
        "plugin's trainers read the section mt_grpo; under another, tasks would not be weighted. Use "
        f"trainer.use_v1=True with trainer.v1.trainer_mode={' or '.join(MODES)}, or leave out +mt_grpo."
    )


def whole_config(section: DictConfig) -> DictConfig:
    """The config that a section is still part of; the section itself where it stands alone."""
    # OmegaConf has no public way from a section to the whole config; a section on its own is its own root.
    config: Any = section._get_root()
    return config


def refuse_another_trainer(section: DictConfig) -> None:
    """Refuse one of verl's own trainers beside `+mt_grpo`, from hooks of the plugin that it calls: the dataset at
    start, or the advantage estimator where the dataset is not the plugin's.

    Args:
        section: a section of verl's training config, still in its place there; one on its own is let through.

    Raises:
        ConfigError: the config has a section `mt_grpo` and names a trainer that does not read it.
    """
    config = whole_config(section)
    if OmegaConf.select(config, "mt_grpo") is None:
        return
    if refusal := _other_trainer(config.trainer):
        raise ConfigError(refusal)


def warn_of_options_without_effect(config: DictConfig, mt_grpo: MTGRPOConfig) -> None:
    """Log one warning per option that was given and has no effect, with what holds instead.

    Args:
        config: verl's whole training config.
        mt_grpo: the checked section `mt_grpo`.
    """
    if unread := unread_settings(mt_grpo):
        logger.info(unread)
    if unread := unread_improvement(mt_grpo):
        logger.warning(unread)
    if dropped_groups_have_a_teacher(config, mt_grpo):
        logger.warning(
            "distillation.enabled=True: groups that the sampler drops are not distilled from either, although the "
            "teacher's loss has a gradient on them. To train on all groups, use %s.",
            UNFILTERED,
        )
    if flat_groups_have_kl_advantages(config, mt_grpo):
        logger.warning(
            "algorithm.use_kl_in_reward=True: groups whose rewards are equal are trained on the KL term alone, as in "
            "verl, and count in mt_grpo/zero_grad_rate all the same."
        )
    actor = config.actor_rollout_ref.actor
    if actor.use_kl_loss and not actor.kl_loss_coef:
        logger.warning(
            "actor_rollout_ref.actor.kl_loss_coef=0: the KL loss is computed, which takes a reference model, and "
            "logged, and has no part in the loss."
        )
    for name, (default, instead) in NO_EFFECT.items():
        value = OmegaConf.select(config, name)
        if value != default and not _is_so_anyway(config, name):
            logger.warning("%s=%s has no effect: %s.", name, value, instead)


def _is_so_anyway(config: DictConfig, name: str) -> bool:
    """Whether what an option asks for holds because of others."""
    if name == EPOCHS:  # It does say how long to train, which the trainer logs.
        return config.trainer.total_training_steps is None
    return name == VALIDATION_SAMPLES and config.actor_rollout_ref.rollout.val_kwargs.temperature > 0


RULES = (
    _not_done,
    _trainer_of_ours,
)
