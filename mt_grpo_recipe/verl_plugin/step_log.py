"""What a step leaves in the log: metrics of its updates as one, notices of the rule, and the sampler's seconds."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.metrics import DECIDE_SECONDS, POLL_SECONDS
from mt_grpo_recipe.verl_plugin.replay_buffer import StepRecord

logger = logging.getLogger(__name__)
SUMMED = frozenset(
    {
        "shortfall",
        "generated",
        "informative",
        "all_right",
        "all_wrong",
        "all_alike",
        "failed",
        "trained",
        "with_gradient",
        "discarded",
        "generated_rollouts",
        "trained_rollouts",
        "generated_tokens",
        "trained_tokens",
        "advantage_mass",
        "failed_groups",
        "stale_groups",
    }
)
"""Metrics, by key, that count what happened in an update: a step's is their sum."""
LATEST = frozenset(
    {
        "tracked_accuracy",
        "tracked_error",
        "tracked_groups",
        "tracked_age",
        "short_of",
        "unmet",
        "out_of_reach",
        "failing_steps",
        "carried",
        "owed",
        "total_rollouts",
        "total_tokens",
        "trained_over_informative",
        "held_groups",
        "steps_left",
    }
)
"""Metrics, by key, that say how things stand after an update: a step's is the last one."""


def joined(updates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Metrics of a step of several updates: sums, the latest values, and means of all others.

    Args:
        updates: of each update in turn, name in the training log -> value; a name may be missing in some.
    """
    values_of: dict[str, list[float]] = {}
    for update in updates:
        for name, value in update.items():
            values_of.setdefault(name, []).append(value)
    return {name: _one(name.split("/")[1], values) for name, values in values_of.items()}


def _one(key: str, values: Sequence[float]) -> float:
    if key in LATEST:
        return values[-1]
    return math.fsum(values) / (1 if key in SUMMED else len(values))


def log_notices(step: int, controller: TaskController) -> None:
    """Log what the rule of the weights has to tell the user about this step."""
    for notice in controller.notices:
        logger.warning("Step %d: %s", step, notice)


def add_timings(timing_s: dict[str, float], record: StepRecord) -> None:
    """Add the sampler's seconds to those of the step, which may have several updates."""
    for metric, seconds in ((DECIDE_SECONDS, record.decide_s), (POLL_SECONDS, record.poll_s)):
        timing_s[metric.key] = timing_s.get(metric.key, 0.0) + seconds
