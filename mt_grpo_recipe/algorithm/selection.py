"""What a step trains on: the choice among its informative groups, and the counts of all that it generated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe import metrics
from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.groups import Group, GroupLedger, Outcome


@dataclass(frozen=True)
class Selection:
    """What a step trains on, and what came of all that it generated. Counts are of this step, shape (K,)."""

    groups: GroupLedger
    """All groups of the step."""
    launch_ids: list[int]
    """Chosen groups in order of launch, at most B."""
    left: list[int]
    """Groups that a later step can use, in order of launch: in flight, or informative and not chosen."""
    quota_K: IntArray
    target_share_K: FloatArray
    """Share of the batch that each task should have: the quota's, where the batch has a fixed size."""
    chosen_K: IntArray
    chosen_gradient_K: IntArray
    """Chosen groups whose rewards differ, so that they carry a gradient."""
    launched_K: IntArray
    finished_K: IntArray
    """Groups that ended in this step without failing."""
    filtered_K: IntArray
    filtered_spread_K: IntArray
    """Filtered groups whose rewards differ: they have a gradient that nothing trains on."""
    zero_gradient_K: IntArray
    """Finished groups whose rewards are all equal: without a gradient, filtered or let through."""
    failed_K: IntArray
    correct_K: FloatArray
    """Sum of the accuracies of the groups that finished; J_k is its mean."""
    squares_K: FloatArray
    """Sum of their squares."""
    rounds: int
    owed_K: FloatArray | None = None
    """Groups that each task is owed after this step, shape (K,); None where every step keeps its own shares."""

    @property
    def shortfall_K(self) -> IntArray:
        """Groups that the batch lacks, max(n_k - chosen_k, 0), shape (K,)."""
        return np.maximum(self.quota_K - self.chosen_K, 0)

    @property
    def accuracy_K(self) -> FloatArray:
        """J_k of this step, shape (K,); NaN for a task without a finished group."""
        nothing_K = np.full(len(self.correct_K), np.nan)
        return np.divide(self.correct_K, self.finished_K, out=nothing_K, where=self.finished_K > 0)

    def readings(self) -> dict[metrics.Metric, FloatArray]:
        """What is logged of each task, arrays of shape (K,); NaN where there is nothing to log."""
        finished_K = np.where(self.finished_K > 0, self.finished_K, np.nan)
        return {
            metrics.TARGET_SHARE: self.target_share_K,
            metrics.BATCH_SHARE: self.chosen_gradient_K / max(int(self.chosen_gradient_K.sum()), 1),
            metrics.SHORTFALL: self.shortfall_K.astype(np.float64),
            metrics.ZERO_GRAD_RATE: self.zero_gradient_K / finished_K,
            metrics.FILTERED_RATE: self.filtered_K / finished_K,
            metrics.ACCURACY: self.accuracy_K,
        }

    def left_groups(self) -> list[Group]:
        """The groups of `left`, as the next step takes them."""
        return [self.groups.group(launch_id) for launch_id in self.left]


def select_groups(
    groups: GroupLedger, quota_K: IntArray, limit_K: IntArray | None, batch_size: int, rounds: int
) -> Selection:
    """Choose the batch from the informative groups of a step.

    Launch order says nothing about a group's answers, so a choice by it favours neither short nor easy ones.

    Args:
        groups: all groups of the step.
        quota_K: n, what the batch should hold of each task, shape (K,).
        limit_K: at most this many of each task unless B groups cannot be had otherwise, shape (K,); None: no limit.
        batch_size: B.
        rounds: rounds generated, for the record.
    """
    tasks, ids = groups.tasks(), np.flatnonzero(groups.outcomes() == Outcome.INFORMATIVE)
    if limit_K is not None:
        within = rank_in_task(tasks[ids], groups.num_tasks) < limit_K[tasks[ids]]
        ids = np.concatenate([ids[within], ids[~within]])
    return selection_of(groups, np.sort(ids[:batch_size]), quota_K, rounds)


def selection_of(
    groups: GroupLedger,
    chosen: IntArray,
    quota_K: IntArray,
    rounds: int,
    target_share_K: FloatArray | None = None,
    owed_K: FloatArray | None = None,
) -> Selection:
    """The selection of these groups, with its counts.

    Args:
        groups: all groups of the step.
        chosen: launch ids in ascending order.
        quota_K: n, shape (K,).
        rounds: rounds generated.
        target_share_K: share that each task should have of the batch, shape (K,); None: that of its quota.
        owed_K: groups that each task is owed now, shape (K,).
    """
    outcomes, spread, told = groups.outcomes(), groups.spread(), groups.told_now()
    left = (outcomes == Outcome.INFORMATIVE) | (outcomes == 0)
    left[chosen] = False
    finished, filtered = told & (outcomes != Outcome.FAILED), told & (outcomes == Outcome.FILTERED)
    return Selection(
        groups=groups,
        launch_ids=chosen.tolist(),
        left=np.flatnonzero(left).tolist(),
        quota_K=quota_K,
        target_share_K=quota_K / quota_K.sum() if target_share_K is None else target_share_K,
        chosen_K=groups.count_K(chosen),
        chosen_gradient_K=groups.count_K(chosen[spread[chosen]]),
        launched_K=groups.count_K(groups.fresh()),
        finished_K=groups.count_K(finished),
        filtered_K=groups.count_K(filtered),
        filtered_spread_K=groups.count_K(filtered & spread),
        zero_gradient_K=groups.count_K(finished & ~spread),
        failed_K=groups.count_K(told & (outcomes == Outcome.FAILED)),
        correct_K=groups.correct_K(finished),
        squares_K=groups.squares_K(finished),
        rounds=rounds,
        owed_K=owed_K,
    )


def rank_in_task(tasks: IntArray, num_tasks: int) -> IntArray:
    """For each group, how many of the same task come before it."""
    order = np.argsort(tasks, kind="stable")
    count_K = np.bincount(tasks, minlength=num_tasks)
    starts_K = np.cumsum(count_K) - count_K
    rank = np.empty_like(tasks)
    rank[order] = np.arange(len(tasks)) - starts_K[tasks[order]]
    return rank
