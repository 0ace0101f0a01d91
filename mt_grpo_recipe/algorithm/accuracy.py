"""The accuracy of a rollout, from what its reward function returned: one rule for training and validation."""

from __future__ import annotations

import math
from typing import Any

from mt_grpo_recipe.algorithm.settings import RewardSettings

TOLERANCE = 1e-6
"""A number this close to a bound is at the bound, relative to bounds above 1: verl keeps rewards in 32 bits."""


def _slack(bound: float) -> float:
    return TOLERANCE * max(1.0, abs(bound))


def judged_number(reward: float, acc: Any) -> float:
    """The number that a rollout is judged by; NaN where the reward function returned an `acc` that is not a number.

    Args:
        reward: what the rollout is trained on.
        acc: what the reward function returned as `acc`; None where it returned none for this rollout.
    """
    try:
        return float(reward if acc is None else acc)
    except (TypeError, ValueError):
        return math.nan


def accuracy_of(number: float, settings: RewardSettings) -> float:
    """The accuracy of a rollout, in [0, 1]; NaN where its number is not finite.

    Without `range` a rollout is right (1) from `correct_at` on, and wrong (0) below. With `range` = [worst, best] it is
    min(max((number - worst) / (best - worst), 0), 1).

    Args:
        number: as `judged_number` gives it.
        settings: the section `mt_grpo.rewards`.
    """
    if not math.isfinite(number):
        return math.nan
    if settings.range is None:
        return float(number >= settings.correct_at - _slack(settings.correct_at))
    worst, best = settings.range
    return min(max((number - worst) / (best - worst), 0.0), 1.0)


def off_scale(number: float, settings: RewardSettings) -> bool:
    """Whether the settings cannot be meant for this number: outside `range`, or beyond `correct_at` where that is 1.

    A user who sets another `correct_at` has looked at the scale.
    """
    if settings.range is None:
        return settings.correct_at == 1.0 and number > 1.0 + TOLERANCE
    worst, best = settings.range
    return not worst - _slack(worst) <= number <= best + _slack(best)
