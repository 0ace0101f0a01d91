"""Group-relative advantages, the clipped surrogate, and what they say about each task.

Letters: N samples (rollouts), T tokens, P prompts (groups), K tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray

EQUAL_REWARDS_TOLERANCE = 1e-6
"""Rewards of a group closer than this are equal: the group has no gradient."""


def has_spread(values: Sequence[float] | FloatArray) -> bool:
    """Whether the values of one group differ. Max minus min: a standard deviation of equal floats need not be zero."""
    array = np.asarray(values, dtype=np.float64)
    return bool(array.max() - array.min() > EQUAL_REWARDS_TOLERANCE)


def group_advantages(scores_N: torch.Tensor, group_N: Sequence[str] | np.ndarray, scale_by_std: bool) -> torch.Tensor:
    """A_i = (r_i - mean r) / (std r + 1e-6) within each group; exactly zero where a group's rewards are equal.

    Args:
        scores_N: reward of each rollout, shape (N,).
        group_N: group name of each rollout, length N.
        scale_by_std: divide by the unbiased standard deviation (GRPO), or not (Dr. GRPO, arXiv 2503.20783).

    Returns:
        Advantages, shape (N,). A group of one rollout has advantage zero.
    """
    _, inverse_N = np.unique(np.asarray(group_N), return_inverse=True)
    advantages_N = torch.zeros_like(scores_N)
    for group in range(int(inverse_N.max()) + 1 if len(inverse_N) else 0):
        rows = torch.from_numpy(np.flatnonzero(inverse_N == group))
        rewards_G = scores_N[rows]
        if not has_spread(rewards_G.tolist()):
            continue
        centred_G = rewards_G - rewards_G.mean()
        advantages_N[rows] = centred_G / (rewards_G.std() + 1e-6) if scale_by_std else centred_G
    return advantages_N


class Clip(NamedTuple):
    """Bounds of the probability ratio r in the clipped surrogate."""

    low: float
    """epsilon below one, 0.2."""
    high: float
    """epsilon above one, 0.28 with clip-higher (DAPO, arXiv 2503.14476)."""
    dual: float
    """c > 1: where A < 0 the value is at least c A (arXiv 1912.09729)."""


def clipped_surrogate(log_ratio_NT: torch.Tensor, advantages_NT: torch.Tensor, clip: Clip) -> torch.Tensor:
    """Per-token min(r A, clip(r, 1 - low, 1 + high) A), to be maximised (GRPO, arXiv 2402.03300, Eq. 3).

    Args:
        log_ratio_NT: log pi_theta - log pi_old, shape (N, T); limited to +-20 before exp.
        advantages_NT: shape (N, T).
        clip: bounds of r.

    Returns:
        Surrogate of each token, shape (N, T).
    """
    ratio_NT = log_ratio_NT.clamp(-20.0, 20.0).exp()
    clipped_NT = ratio_NT.clamp(1 - clip.low, 1 + clip.high)
    surrogate_NT = torch.minimum(ratio_NT * advantages_NT, clipped_NT * advantages_NT)
    return torch.where(advantages_NT < 0, torch.maximum(surrogate_NT, clip.dual * advantages_NT), surrogate_NT)


def sequence_means(values_NT: torch.Tensor, mask_NT: torch.Tensor) -> torch.Tensor:
    """Mean over the unmasked tokens of each sequence, shape (N,); zero where all are masked."""
    mask_NT = mask_NT.to(values_NT.dtype)
    return (values_NT * mask_NT).sum(-1) / mask_NT.sum(-1).clamp(min=1)


def task_means(values_N: Sequence[float] | FloatArray, task_N: Sequence[int] | IntArray, num_tasks: int) -> FloatArray:
    """Mean of the values of each task, shape (K,); NaN for a task without values."""
    task_N = np.asarray(task_N, dtype=np.int64)
    count_K = np.bincount(task_N, minlength=num_tasks)
    total_K = np.bincount(task_N, weights=np.asarray(values_N, dtype=np.float64), minlength=num_tasks)
    return np.divide(total_K, count_K, out=np.full(num_tasks, np.nan), where=count_K > 0)


def advantage_mass(
    advantages_NT: torch.Tensor,
    mask_NT: torch.Tensor,
    task_N: Sequence[int] | IntArray,
    num_tasks: int,
    token_mean: bool = False,
) -> FloatArray:
    """|A| over the unmasked tokens of each sample, summed over each task's, shape (K,); zero without samples.

    The gradient of the surrogate sums A times the gradient of a token's log-probability over tokens, so this is how
    much each task contributes where the tokens' gradients are of similar size.

    Args:
        advantages_NT: shape (N, T).
        mask_NT: one on response tokens, shape (N, T).
        task_N: task index of each sample, length N.
        num_tasks: K.
        token_mean: mean over the tokens of a sample instead of their sum, for a loss that averages them first.
    """
    mass_K = np.zeros(num_tasks)
    magnitude_NT = advantages_NT.abs().double()
    mass_N = sequence_means(magnitude_NT, mask_NT) if token_mean else (magnitude_NT * mask_NT).sum(-1)
    np.add.at(mass_K, np.asarray(task_N, dtype=np.int64), mass_N.numpy())
    return mass_K


def task_improvement(
    log_ratio_NT: torch.Tensor,
    advantages_NT: torch.Tensor,
    mask_NT: torch.Tensor,
    task_N: Sequence[int] | IntArray,
    num_tasks: int,
    clip: Clip,
    reduction: str = "mean",
) -> FloatArray:
    """I_k = J_GRPO,k(theta_{t+1}) - J_GRPO,k(theta_t) (arXiv 2602.05547, Eq. 8).

    The samples and advantages stay those of theta_t, so before the update every ratio is one.

    Args:
        log_ratio_NT: log-probabilities after the update minus those before it, shape (N, T).
        advantages_NT: shape (N, T).
        mask_NT: one on response tokens, shape (N, T).
        task_N: task index of each sample, length N.
        num_tasks: K.
        clip: bounds of the ratio.
        reduction: "mean" over a task's samples, or their "sum", as in the authors' released code.

    Returns:
        Change of the per-sequence token means, reduced over samples, shape (K,); NaN for a task without samples.
    """
    after_NT = clipped_surrogate(log_ratio_NT, advantages_NT, clip)
    before_NT = clipped_surrogate(torch.zeros_like(log_ratio_NT), advantages_NT, clip)
    change_N = sequence_means(after_NT - before_NT, mask_NT)
    mean_K = task_means(change_N.double().numpy(), task_N, num_tasks)
    if reduction == "mean":
        return mean_K
    return mean_K * np.bincount(np.asarray(task_N, dtype=np.int64), minlength=num_tasks)


def probe_rows(task_N: Sequence[int] | IntArray, fraction: float, multiple: int, rng: np.random.Generator) -> list[int]:
    """Draw rows to measure I_k on: this share of each task's samples, rounded up, without replacement.

    The mean over a random part estimates the mean over all without bias, at that share of the forward pass's cost.

    Args:
        task_N: task index of each sample, length N; -1 for padding, which is drawn last.
        fraction: share of each task's samples, in (0, 1].
        multiple: the number of rows must divide by this (ranks x micro-batch), as N does; more are drawn to reach
            it.
        rng: source of the draw.

    Returns:
        Row numbers in ascending order.
    """
    tasks = np.asarray(task_N, dtype=np.int64)
    order = rng.permutation(len(tasks))
    chosen = [
        order[tasks[order] == task][: math.ceil(fraction * int((tasks == task).sum()))]
        for task in np.unique(tasks[tasks >= 0])
    ]
    rows = np.concatenate([*chosen, np.empty(0, dtype=np.int64)])
    rest = order[~np.isin(order, rows)]
    rest = rest[np.argsort(tasks[rest] < 0, kind="stable")]
    return np.sort(np.concatenate([rows, rest[: -len(rows) % multiple]])).tolist()


def residual_weights(target_share_K: FloatArray, count_K: IntArray, max_weight: float) -> FloatArray:
    """w_k = (n_k / sum n) / (c_k / sum c): loss weights that give a batch the mixture its quotas asked for.

    Exactly one for every task when the quotas were met. Since E[n_k] = B z_k, the expected mixture is z.

    Args:
        target_share_K: n_k / sum n, share of the batch asked for, shape (K,), sums to one.
        count_K: c_k, groups of each task in the batch, shape (K,).
        max_weight: bound that keeps a task with a handful of groups from dominating the gradient.

    Returns:
        Weights, shape (K,); zero for a task without groups, whose share nothing can restore.
    """
    share_K = count_K / max(int(count_K.sum()), 1)
    weight_K = np.divide(target_share_K, share_K, out=np.zeros(len(target_share_K)), where=count_K > 0)
    return np.minimum(weight_K, max_weight)


def owed_after_residual(
    owed_K: FloatArray, target_share_K: FloatArray, count_K: IntArray, max_weight: float
) -> FloatArray:
    """What residual weights leave owed of a step, in groups, shape (K,).

    A task in the batch is owed nothing more, unless `max_weight` cut its weight: what that took from it stays owed. So
    does all that is owed to a task that the batch lacks.

    Args:
        owed_K: o_k after the step, by the groups alone, shape (K,).
        target_share_K, count_K, max_weight: as in `residual_weights`.
    """
    weight_K = residual_weights(target_share_K, count_K, max_weight)
    missing_K = np.minimum(owed_K, target_share_K * count_K.sum() - weight_K * count_K)
    return np.where(count_K == 0, owed_K, np.where(weight_K >= max_weight, missing_K, 0.0))
