"""What a step leaves in the log beside its metrics: notices of the rule, and the sampler's seconds."""

from __future__ import annotations

import logging

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.metrics import DECIDE_SECONDS, POLL_SECONDS
from mt_grpo_recipe.verl_plugin.replay_buffer import StepRecord

logger = logging.getLogger(__name__)


def log_notices(step: int, controller: TaskController) -> None:
    """Log what the rule of the weights has to tell the user about this step."""
    for notice in controller.notices:
        logger.warning("Step %d: %s", step, notice)


def add_timings(timing_s: dict[str, float], record: StepRecord) -> None:
    """Add the sampler's seconds to those of the step, which may have several updates."""
    for metric, seconds in ((DECIDE_SECONDS, record.decide_s), (POLL_SECONDS, record.poll_s)):
        timing_s[metric.key] = timing_s.get(metric.key, 0.0) + seconds
