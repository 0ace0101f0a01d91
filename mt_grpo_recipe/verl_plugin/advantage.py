"""Advantage estimator `mt_grpo`: group-relative, exactly zero for a group whose rewards are equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from verl.trainer.ppo.core_algos import register_adv_est

from mt_grpo_recipe.algorithm.objective import group_advantages
from mt_grpo_recipe.verl_plugin.checks.options import refuse_another_trainer


@register_adv_est("mt_grpo")
def compute_mt_grpo_advantage(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    config: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give every token of a response the advantage of the response within its group.

    Args:
        token_level_rewards: shape (N, T); a response's reward is their sum.
        response_mask: one on response tokens, shape (N, T).
        index: group (prompt uid) of each response, shape (N,).
        config: verl's `algorithm` section, or as much of it in a dict; `norm_adv_by_std_in_grpo` decides the scaling.
        **kwargs: what verl passes for other estimators.

    Returns:
        Advantages and returns, both of shape (N, T) and equal.

    Raises:
        ConfigError: the config has a section `mt_grpo`, and a trainer of verl's own that does not read it.
    """
    if isinstance(config, DictConfig):
        refuse_another_trainer(config)
    with torch.no_grad():
        scale_by_std = True if config is None else bool(config.get("norm_adv_by_std_in_grpo", True))
        advantages_N = group_advantages(token_level_rewards.sum(-1), index, scale_by_std)
        advantages_NT = advantages_N.unsqueeze(-1) * response_mask
    return advantages_NT, advantages_NT
