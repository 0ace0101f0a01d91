"""Whole numbers from shares: quotas drawn from the weights, and rounding that keeps sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.settings import (
    BatchSettings,
    SamplerSettings,
    SettingError,
    StreamingSettings,
)


def stratified_counts(shares_K: FloatArray, total: int, rng: np.random.Generator) -> IntArray:
    """Random integers with sum `total`, mean total * share_k, and less than one away from it (systematic rounding).

    Args:
        shares_K: non-negative, sums to one, shape (K,).
        total: what the counts add up to.
        rng: one uniform number and one permutation are drawn from it.
    """
    order_K = rng.permutation(len(shares_K))
    # Entries without a share stay out of the cumulated edges: rounding there could hand them a count.
    order = order_K[shares_K[order_K] > 0]
    edges = np.concatenate([[0.0], np.cumsum(shares_K[order]) * total])
    edges[-1] = total
    # One random offset for all edges keeps each count within floor and ceil of its expectation. Summed floats may
    # pass `total` by an ulp, and the last count would then be negative.
    counts = np.diff(np.floor(np.minimum(edges, total) + rng.random()).astype(np.int64))
    counts_K = np.zeros(len(shares_K), dtype=np.int64)
    counts_K[order] = counts
    return counts_K


def rounded_counts(shares_K: FloatArray, total: int) -> IntArray:
    """Integers nearest to total * share_k that sum to `total` (largest remainder), shape (K,)."""
    exact_K = shares_K * total
    counts_K = np.floor(exact_K).astype(np.int64)
    largest = np.argsort(counts_K - exact_K, kind="stable")
    counts_K[largest[: total - int(counts_K.sum())]] += 1
    return counts_K


def check_rounding(
    settings: SamplerSettings, tasks: Sequence[str], batch_size: int, standing_shares: Iterable[FloatArray]
) -> None:
    """Refuse rounded quotas that leave a task out of a batch, and of every other with the same shares.

    Args:
        settings: of the sampler.
        tasks: names of the K tasks.
        batch_size: B.
        standing_shares: shares that tasks are sampled by, step after step, arrays of shape (K,).

    Raises:
        SettingError: a task with a share is rounded to zero, in every step with these shares alike.
    """
    if not isinstance(settings, BatchSettings) or settings.quota != "rounded":
        return
    groups = batch_size
    if not settings.fills_by_task:
        if isinstance(settings, StreamingSettings):
            return  # Only the total of its quotas counts, and it launches without rounding.
        groups = settings.round_size(batch_size)
    for shares_K in standing_shares:
        left_out_K = (rounded_counts(shares_K / shares_K.sum(), groups) == 0) & (shares_K > 0)
        if left_out_K.any():
            names = ", ".join(task for task, left_out in zip(tasks, left_out_K, strict=True) if left_out)
            raise SettingError(
                "sampler.quota",
                f"=rounded gives none of {groups} groups to {names}, step after step, since the shares of the tasks "
                "stay as they are. Use stratified or multinomial, or a larger batch.",
            )


def draw_quotas(weights_K: FloatArray, batch_size: int, quota: str, rng: np.random.Generator) -> IntArray:
    """n: groups wanted of each task, shape (K,), summing to B.

    Args:
        weights_K: z, shape (K,).
        batch_size: B.
        quota: "multinomial", n ~ Multinomial(B, z) (Algorithm 2); "stratified", drawn with |n_k - B z_k| < 1; or
            "rounded", B z_k rounded, without a draw.
        rng: source of the draw.
    """
    shares_K = weights_K / weights_K.sum()
    if quota == "multinomial":
        return rng.multinomial(batch_size, shares_K).astype(np.int64)
    if quota == "rounded":
        return rounded_counts(shares_K, batch_size)
    return stratified_counts(shares_K, batch_size, rng)
