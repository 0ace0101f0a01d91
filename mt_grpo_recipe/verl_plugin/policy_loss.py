"""Policy loss `mt_grpo`: clipped surrogate with clip-higher, each token weighted by its task."""

from __future__ import annotations

from typing import Any

import torch
from verl.trainer.ppo.core_algos import agg_loss, register_policy_loss

from mt_grpo_recipe.algorithm.objective import Clip, clipped_surrogate


def clip_bounds(actor_config: Any) -> Clip:
    """Bounds of the ratio in verl's actor section; an unset side falls back to `clip_ratio`."""
    low, high = actor_config.clip_ratio_low, actor_config.clip_ratio_high
    clip_ratio = actor_config.clip_ratio
    return Clip(clip_ratio if low is None else low, clip_ratio if high is None else high, actor_config.clip_ratio_c)


@register_policy_loss("mt_grpo")
def compute_mt_grpo_loss(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
    config: Any = None,
    rollout_is_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Weighted clipped loss; equal to verl's "vanilla" where every weight is one.

    Args:
        old_log_prob, log_prob: log-probabilities of the response tokens, shape (N, T).
        advantages: shape (N, T).
        response_mask: one on response tokens, shape (N, T).
        loss_agg_mode: how verl reduces tokens to one number.
        config: verl's actor config.
        rollout_is_weights: weight of each token, shape (N, T): the task's loss weight, times verl's rollout
            correction where that is on; None: one everywhere. verl has no other per-token field that reaches a loss.

    Returns:
        The loss, a scalar, and verl's clip-fraction and KL metrics.
    """
    clip = clip_bounds(config)
    log_ratio = log_prob - old_log_prob
    losses = -clipped_surrogate(log_ratio, advantages, clip)
    if rollout_is_weights is not None:
        losses = losses * rollout_is_weights
    loss = agg_loss(loss_mat=losses, loss_mask=response_mask, loss_agg_mode=loss_agg_mode, **config.global_batch_info)
    return loss, _metrics(log_ratio, advantages, response_mask, clip)


@torch.no_grad()
def _metrics(
    log_ratio: torch.Tensor, advantages: torch.Tensor, response_mask: torch.Tensor, clip: Clip
) -> dict[str, float]:
    """Shares of response tokens whose ratio is clipped, and the mean of -log ratio, under verl's names."""
    tokens = response_mask.sum().clamp(min=1)
    log_ratio = log_ratio.clamp(-20.0, 20.0)
    ratio = log_ratio.exp()
    too_high = (ratio > 1 + clip.high) & (advantages > 0)
    too_low = (ratio < 1 - clip.low) & (advantages < 0)
    floored = (ratio > clip.dual) & (advantages < 0)
    return {
        "actor/pg_clipfrac": (((too_high | too_low) * response_mask).sum() / tokens).item(),
        "actor/ppo_kl": ((-log_ratio * response_mask).sum() / tokens).item(),
        "actor/pg_clipfrac_lower": ((floored * response_mask).sum() / tokens).item(),
    }
