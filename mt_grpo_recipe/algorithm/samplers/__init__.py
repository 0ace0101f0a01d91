"""Samplers: one file per schedule, and which one the settings ask for."""

from __future__ import annotations

from mt_grpo_recipe.algorithm.samplers.base import Sampler, Step
from mt_grpo_recipe.algorithm.samplers.budget import BudgetSampler
from mt_grpo_recipe.algorithm.samplers.rounds import RoundsSampler
from mt_grpo_recipe.algorithm.samplers.streaming import StreamingSampler
from mt_grpo_recipe.algorithm.settings import BudgetSettings, StreamingSettings

__all__ = ["Sampler", "Step", "make_sampler"]


def make_sampler(step: Step) -> Sampler:
    """Make the sampler of one step that `step.settings` asks for.

    Raises:
        ValueError: earlier steps left groups, which only streaming can use.
    """
    if isinstance(step.settings, StreamingSettings):
        return StreamingSampler(step)
    if step.carried is not None:
        raise ValueError(
            f"sampler.schedule={step.settings.schedule} begins every step with nothing; use streaming to carry groups "
            "over"
        )
    return BudgetSampler(step) if isinstance(step.settings, BudgetSettings) else RoundsSampler(step)
