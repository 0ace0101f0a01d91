"""verl's distillation from a teacher beside the method: what its loss must leave in place."""

from __future__ import annotations

from omegaconf import DictConfig

from mt_grpo_recipe.config import MTGRPOConfig

UNFILTERED = "mt_grpo.sampler.drop_uninformative=false with mt_grpo.sampler.ratio=false"


def _rewards_are_trained_on(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    """Without task rewards verl sets the policy loss to zero."""
    if not config.distillation.enabled or config.distillation.distillation_loss.use_task_rewards:
        return None
    weights, contradictions = mt_grpo.weights, []
    if weights.reads_improvement or weights.reads_advantage:
        signal = "improvement" if weights.reads_improvement else "advantages"
        contradictions.append(f"mt_grpo.weights.rule={weights.rule} reads the {signal} of a policy loss")
    if mt_grpo.sampler.drop_uninformative:
        contradictions.append("mt_grpo.sampler.drop_uninformative=true drops groups because their rewards are equal")
    if mt_grpo.loss_weighting != "none":
        contradictions.append(f"mt_grpo.loss_weighting={mt_grpo.loss_weighting} weighs the tasks in the policy loss")
    if not contradictions:
        return None
    return (
        "distillation.distillation_loss.use_task_rewards=False trains on the teacher's loss alone and leaves out the "
        f"policy loss, but {', and '.join(contradictions)}. Use use_task_rewards=True; or train on every group with "
        f"a rule and weights that do not need the policy loss, such as +mt_grpo=grpo ({UNFILTERED}, "
        "mt_grpo.weights.rule=fixed, mt_grpo.loss_weighting=none)."
    )


def _rows_have_no_weights(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    """verl 0.9.1 hands the weights of the rows to the teacher's policy gradient in another shape than its losses."""
    if not config.distillation.enabled or not config.distillation.distillation_loss.use_policy_gradient:
        return None
    given = []
    if mt_grpo.loss_weighting != "none":
        given.append((f"mt_grpo.loss_weighting={mt_grpo.loss_weighting}", "mt_grpo.loss_weighting=none"))
    correction = config.algorithm.get("rollout_correction") or {}
    if kind := correction.get("rollout_is"):
        option = "algorithm.rollout_correction.rollout_is"
        given.append((f"{option}={kind}", f"{option}=null"))
    if not given:
        return None
    return (
        f"distillation.distillation_loss.use_policy_gradient=True with {' and '.join(name for name, _ in given)}: "
        "verl 0.9.1 cannot apply weights of single rows to the teacher's policy gradient, and the first update would "
        "end the run. Use use_policy_gradient=False, which trains on the teacher's loss directly, or "
        f"{' and '.join(instead for _, instead in given)}."
    )


def dropped_groups_have_a_teacher(config: DictConfig, mt_grpo: MTGRPOConfig) -> bool:
    """Whether groups are dropped that the teacher's part of the loss could learn from."""
    return config.distillation.enabled and mt_grpo.sampler.drop_uninformative


RULES = (
    _rewards_are_trained_on,
    _rows_have_no_weights,
)
