"""What a step leaves in the log beside its metrics: the sampler's seconds."""

from __future__ import annotations

from mt_grpo_recipe.metrics import DECIDE_SECONDS, POLL_SECONDS
from mt_grpo_recipe.verl_plugin.replay_buffer import StepRecord


def add_timings(timing_s: dict[str, float], record: StepRecord) -> None:
    """Add the sampler's seconds to those of the step, which may have several updates."""
    for metric, seconds in ((DECIDE_SECONDS, record.decide_s), (POLL_SECONDS, record.poll_s)):
        timing_s[metric.key] = timing_s.get(metric.key, 0.0) + seconds
