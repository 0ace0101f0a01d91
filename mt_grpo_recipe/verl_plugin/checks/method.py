"""Where verl's settings contradict the method: the group, its advantage, the loss."""

from __future__ import annotations

from omegaconf import DictConfig

from mt_grpo_recipe.config import MTGRPOConfig

TOKEN_SURROGATES = ("mt_grpo", "vanilla")
"""Policy losses that are the clipped surrogate per token, whose change I_k is."""

GROUP_RELATIVE = ("mt_grpo", "grpo", "grpo_vectorized", "rloo", "rloo_vectorized", "opo", "gpg")
"""Advantage estimators that give zero to a group whose rewards are equal, and to no other."""


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


def _flat_groups_have_no_gradient(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    estimator = config.algorithm.adv_estimator
    if not mt_grpo.sampler.drop_uninformative or estimator in GROUP_RELATIVE:
        return None
    return (
        f"algorithm.adv_estimator={estimator} with mt_grpo.sampler.drop_uninformative=true: the sampler drops groups "
        "whose rewards are equal and keeps the others, which is right only where the advantage is zero for the former "
        f"and not for the latter. Use one of {', '.join(GROUP_RELATIVE)}, or "
        "mt_grpo.sampler.drop_uninformative=false with mt_grpo.sampler.ratio=false."
    )


def _improvement_of_the_loss(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    loss_mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if not mt_grpo.weights.reads_improvement or loss_mode in TOKEN_SURROGATES:
        return None
    return (
        f"actor_rollout_ref.actor.policy_loss.loss_mode={loss_mode} trains a loss other than the per-token clipped "
        f"surrogate, whose change mt_grpo.weights.rule={mt_grpo.weights.rule} reads. Use "
        f"{' or '.join(TOKEN_SURROGATES)}, or a rule that does not read "
        "the improvement, such as mt_grpo.weights.rule=regularized, targets or fixed."
    )


def _improvement_from_the_same_model(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    correction = config.algorithm.get("rollout_correction") or {}
    if not mt_grpo.weights.reads_improvement or not correction.get("bypass_mode"):
        return None
    return (
        "algorithm.rollout_correction.bypass_mode=True uses the engine's log-probabilities as the old ones, so "
        f"mt_grpo.weights.rule={mt_grpo.weights.rule} would mistake the mismatch between engine and trainer for a "
        "change of the policy. Use bypass_mode=False, or a rule that does not read the improvement, such as "
        "mt_grpo.weights.rule=regularized, targets or fixed."
    )


def flat_groups_have_kl_advantages(config: DictConfig, mt_grpo: MTGRPOConfig) -> bool:
    """Whether groups of equal rewards are trained on, with the KL term's differences scaled up to full advantages."""
    return config.algorithm.use_kl_in_reward and not mt_grpo.sampler.drop_uninformative


def _advantage_of_the_reward(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if not mt_grpo.weights.reads_advantage or not flat_groups_have_kl_advantages(config, mt_grpo):
        return None
    return (
        f"algorithm.use_kl_in_reward=True with mt_grpo.weights.rule={mt_grpo.weights.rule}: groups whose rewards are "
        "equal get full advantages from the KL term alone, and the rule would take tasks that are solved or hopeless "
        "for those that learn most. Use actor_rollout_ref.actor.use_kl_loss=True instead, or "
        "mt_grpo.sampler.drop_uninformative=true."
    )


def _loss_applies_weights(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    loss_mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if mt_grpo.loss_weighting == "none" or loss_mode == "mt_grpo":
        return None
    return (
        f"mt_grpo.loss_weighting={mt_grpo.loss_weighting} needs actor_rollout_ref.actor.policy_loss.loss_mode=mt_grpo, "
        f"the loss that applies the weights; it is {loss_mode}."
    )


RULES = (
    _group_size,
    _no_critic,
    _flat_groups_have_no_gradient,
    _improvement_of_the_loss,
    _improvement_from_the_same_model,
    _advantage_of_the_reward,
    _loss_applies_weights,
)
