"""Advantage estimator `mt_grpo`: group-relative, exactly zero for a group whose rewards are equal.

verl gives an estimator all rows alike. Where a session has several outputs, as in multi-turn agent loops, the session
is still one sample, as in verl's own `grpo`: its last output says what it is worth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.core_algos import register_adv_est

from mt_grpo_recipe.algorithm.objective import group_advantages
from mt_grpo_recipe.verl_plugin.checks.options import refuse_another_trainer
from mt_grpo_recipe.verl_plugin.queue_rows import fetch, last_outputs, put, session_of_key, uid_of_key

ESTIMATOR = "mt_grpo"


@register_adv_est(ESTIMATOR)
def compute_mt_grpo_advantage(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    config: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give every token of a response the response's advantage within its group.

    Args:
        token_level_rewards: shape (N, T); a response's reward is their sum.
        response_mask: one on response tokens, shape (N, T).
        index: group (prompt uid) of each response, shape (N,).
        config: verl's `algorithm` section, or a dict with part of it; `norm_adv_by_std_in_grpo` decides the scaling.
        **kwargs: what verl passes for other estimators.

    Returns:
        Advantages and returns, both of shape (N, T) and equal.

    Raises:
        ConfigError: the config has a section `mt_grpo`, but names one of verl's own trainers, which do not read it.
    """
    if isinstance(config, DictConfig):
        refuse_another_trainer(config)
    with torch.no_grad():
        advantages_N = group_advantages(token_level_rewards.sum(-1), index, _scales_by_std(config or {}))
        advantages_NT = advantages_N.unsqueeze(-1) * response_mask
    return advantages_NT, advantages_NT


def _scales_by_std(config: Any) -> bool:
    return bool(config.get("norm_adv_by_std_in_grpo", True))


def put_session_advantages(batch: KVBatchMeta, config: DictConfig) -> KVBatchMeta:
    """Give all outputs of a session the advantage of its last output within the group.

    A session whose last output has no token left in the mask has advantage zero, as in verl's `grpo`.

    Args:
        batch: rows with `response_mask` and rewards.
        config: verl's section `algorithm`.

    Returns:
        The batch as the queue describes it once `advantages` and `returns` are written; unchanged where no session has
        several outputs, or another estimator is used.
    """
    last = last_outputs(batch.keys)
    if len(last) == len(batch.keys) or config.adv_estimator != ESTIMATOR:
        return batch
    # verl writes rewards per token only where they are not the scores.
    data = fetch(last, "rm_scores", "token_level_rewards", "response_mask")
    rewards = data["token_level_rewards" if "token_level_rewards" in data else "rm_scores"]
    rewards_N = torch.stack([row.sum() for row in rewards.unbind()])
    kept_N = torch.stack([row.any() for row in data["response_mask"].unbind()])
    group_N = [uid_of_key(key) for key in last]
    advantages_N = kept_N * group_advantages(rewards_N, group_N, _scales_by_std(config))
    advantage_of = {session_of_key(key): advantage for key, advantage in zip(last, advantages_N, strict=True)}

    mask = fetch(batch.keys, "response_mask")["response_mask"]
    values_N = torch.stack([advantage_of[session_of_key(key)] for key in batch.keys])
    values = values_N.repeat_interleave(mask.offsets().diff()) * mask.values()
    advantages = torch.nested.nested_tensor_from_jagged(values, mask.offsets())
    return put(batch, advantages=advantages, returns=advantages)
