"""The ratio-preserving sampler (arXiv 2602.05547, Algorithm 2) as a plain state machine.

It knows nothing of models or queues. A driver asks what to launch, launches it, and tells what came of each group:

    sampler = RoundsSampler(...)
    while not sampler.done:
        launches = sampler.ask()            # tasks to launch now, in order; often empty
        ...                                 # launch them, wait for some to end
        sampler.tell(launch_id, outcome)    # once for every launch
    selection = sampler.select()

Launch ids count from zero in the order of launch. Letters: K tasks, B groups a batch, z weights, n_k quota, c_k kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.objective import has_spread
from mt_grpo_recipe.config.schema import SamplerConfig


class Outcome(IntEnum):
    """What came of a launched group. Zero stands for a group in flight."""

    INFORMATIVE = 1
    FILTERED = 2
    FAILED = 3


def classify(rewards_G: Sequence[float], correct_G: Sequence[bool], filter_mode: str) -> Outcome:
    """Say whether a finished group of G rollouts carries a gradient.

    Args:
        rewards_G: reward of each rollout; one that is not finite makes the group failed.
        correct_G: whether each rollout is right.
        filter_mode: "strict": some but not all rollouts are right (three-task experiment); "lenient": the rewards are
            not all equal (nine-task experiment); "off": every group counts.
    """
    if not len(rewards_G) or not np.isfinite(rewards_G).all():
        return Outcome.FAILED
    if filter_mode == "off":
        return Outcome.INFORMATIVE
    mixed = any(correct_G) and not all(correct_G)
    informative = mixed if filter_mode == "strict" else has_spread(rewards_G)
    return Outcome.INFORMATIVE if informative else Outcome.FILTERED


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


def draw_quotas(weights_K: FloatArray, batch_size: int, quota: str, rng: np.random.Generator) -> IntArray:
    """n: groups wanted of each task, shape (K,), summing to B.

    Args:
        weights_K: z, shape (K,).
        batch_size: B.
        quota: "multinomial", n ~ Multinomial(B, z) (Algorithm 2); "stratified", drawn with |n_k - B z_k| < 1; or
            "rounded", B z_k to the nearest, without a draw.
        rng: source of the draw.
    """
    shares_K = weights_K / weights_K.sum()
    if quota == "multinomial":
        return rng.multinomial(batch_size, shares_K).astype(np.int64)
    if quota == "rounded":
        return rounded_counts(shares_K, batch_size)
    return stratified_counts(shares_K, batch_size, rng)


@dataclass(frozen=True)
class Selection:
    """What a step trains on, and what it took."""

    launch_ids: list[int]
    """Chosen groups in order of launch, at most B."""
    quota_K: IntArray
    chosen_K: IntArray
    shortfall_K: IntArray
    """max(n_k - chosen_k, 0)."""
    launched_K: IntArray
    finished_K: IntArray
    filtered_K: IntArray
    failed_K: IntArray
    rounds: int


class GroupLedger:
    """Every group of one step: its task and what came of it. `tell` only writes; counts are taken when asked for."""

    def __init__(self, num_tasks: int):
        self.num_tasks = num_tasks
        self.task_of = array("q")
        """By launch id."""
        self.outcome_of = bytearray()
        """By launch id: an `Outcome`, or 0 while in flight."""
        self.in_flight = 0

    def launch(self, tasks: list[int]) -> None:
        """Book groups as launched, in this order."""
        self.task_of.extend(tasks)
        self.outcome_of.extend(bytes(len(tasks)))
        self.in_flight += len(tasks)

    def tell(self, launch_id: int, outcome: Outcome) -> int:
        """Book what came of a group and return its task.

        Raises:
            ValueError: the group was never launched, or its outcome is known already.
        """
        if not 0 <= launch_id < len(self.outcome_of) or self.outcome_of[launch_id]:
            raise ValueError(f"group {launch_id} is not in flight ({len(self.outcome_of)} groups were launched)")
        self.outcome_of[launch_id] = outcome
        self.in_flight -= 1
        return self.task_of[launch_id]

    def tasks(self) -> IntArray:
        """Task of each group, by launch id."""
        return np.array(self.task_of, dtype=np.int64)

    def outcomes(self) -> npt.NDArray[np.uint8]:
        """Outcome of each group, by launch id; 0 while in flight."""
        return np.array(self.outcome_of, dtype=np.uint8)

    @property
    def launched_K(self) -> IntArray:
        """Groups launched so far, shape (K,)."""
        return np.bincount(self.tasks(), minlength=self.num_tasks)

    def count_K(self, outcome: Outcome, launch_ids: IntArray | None = None) -> IntArray:
        """Groups that ended so, shape (K,); among all, or among those given."""
        tasks, outcomes = self.tasks(), self.outcomes()
        if launch_ids is not None:
            tasks, outcomes = tasks[launch_ids], outcomes[launch_ids]
        return np.bincount(tasks[outcomes == outcome], minlength=self.num_tasks)

    @property
    def kept_K(self) -> IntArray:
        """c_k: informative groups so far, shape (K,)."""
        return self.count_K(Outcome.INFORMATIVE)


class RoundsSampler:
    """Algorithm 2: generate a round, wait for all of it, and generate again while a quota is unmet.

    Args:
        weights_K: z of this step, shape (K,).
        tracker: rho; updated at the end of every round.
        config: constants of the algorithm.
        batch_size: B.
        rng: seeded source of every draw.
    """

    def __init__(
        self,
        weights_K: FloatArray,
        tracker: AcceptanceTracker,
        config: SamplerConfig,
        batch_size: int,
        rng: np.random.Generator,
    ):
        self._weights_K = weights_K
        self._tracker = tracker
        self._config = config
        self._batch_size = batch_size
        self._rng = rng
        self.quota_K = draw_quotas(weights_K, batch_size, config.quota, rng)
        self._groups = GroupLedger(len(weights_K))
        self._rounds = 0
        # Counts at the end of the last round; nothing reads them while one runs.
        self._kept_K = np.zeros_like(self.quota_K)
        self._filtered_K = np.zeros_like(self.quota_K)

    @property
    def in_flight(self) -> int:
        """Groups launched of which nothing was told yet."""
        return self._groups.in_flight

    @property
    def _unmet(self) -> bool:
        if self._config.ratio or self._config.filter == "off":
            return bool((self._kept_K < self.quota_K).any())
        return int(self._kept_K.sum()) < self._batch_size

    @property
    def done(self) -> bool:
        """Nothing is in flight, and the quotas are met or the budget is spent."""
        if self._rounds == 0 or self.in_flight:
            return False
        return self._rounds > self._config.max_resample_rounds or not self._unmet

    def ask(self) -> list[int]:
        """Tasks of the groups to launch now, in launch order; empty while a round runs and when done."""
        if self.in_flight or self.done:
            return []
        # Mixed order: without it a fill-up from "the first launched" would favour low task numbers.
        launches = self._rng.permutation(np.repeat(np.arange(len(self.quota_K)), self._round_counts_K())).tolist()
        self._groups.launch(launches)
        self._rounds += 1
        return launches

    def _round_counts_K(self) -> IntArray:
        """Groups of each task in the round that starts now, shape (K,)."""
        config = self._config
        round_size = config.round_size(self._batch_size)
        deficit_K = np.maximum(self.quota_K - self._kept_K, 0)
        if config.filter == "off":
            # Later rounds replace failed groups one for one, task for task.
            return deficit_K
        if not config.ratio:
            return draw_quotas(self._weights_K, round_size, config.quota, self._rng)
        wanted_K = self._weights_K if self._rounds == 0 else deficit_K.astype(np.float64)
        if config.inflate:
            wanted_K = wanted_K * self._tracker.inflation_K(config.max_inflation)
        return stratified_counts(wanted_K / wanted_K.sum(), round_size, self._rng)

    def tell(self, launch_id: int, outcome: Outcome) -> None:
        """Say what came of a group.

        Raises:
            ValueError: the group was never launched, or its outcome is known already.
        """
        self._groups.tell(launch_id, outcome)
        if not self._groups.in_flight:
            self._end_round()

    def _end_round(self) -> None:
        kept_K, filtered_K = (self._groups.count_K(o) for o in (Outcome.INFORMATIVE, Outcome.FILTERED))
        new_filtered_K = filtered_K - self._filtered_K
        self._tracker.update(new_filtered_K, new_filtered_K + kept_K - self._kept_K)
        self._kept_K, self._filtered_K = kept_K, filtered_K

    def select(self) -> Selection:
        """Choose at most n_k informative groups of each task, then fill up to B from the rest, in launch order."""
        limit_K = self.quota_K if self._config.ratio else None
        return select_groups(self._groups, self.quota_K, limit_K, self._batch_size, self._rounds)


def select_groups(
    groups: GroupLedger, target_K: IntArray, limit_K: IntArray | None, batch_size: int, rounds: int
) -> Selection:
    """Choose the batch from the informative groups of a step.

    Launch order says nothing about a group's answers, so a choice by it favours neither short nor easy ones.

    Args:
        groups: all groups of the step.
        target_K: n, what the batch should hold of each task, shape (K,).
        limit_K: at most this many of each task unless B groups cannot be had otherwise, shape (K,); None: no limit.
        batch_size: B.
        rounds: rounds generated, for the record.
    """
    tasks = groups.tasks()
    informative = np.flatnonzero(groups.outcomes() == Outcome.INFORMATIVE)
    if limit_K is not None:
        within = rank_in_task(tasks[informative], groups.num_tasks) < limit_K[tasks[informative]]
        informative = np.concatenate([informative[within], informative[~within]])
    chosen = np.sort(informative[:batch_size])
    chosen_K = np.bincount(tasks[chosen], minlength=groups.num_tasks)
    filtered_K = groups.count_K(Outcome.FILTERED)
    return Selection(
        launch_ids=chosen.tolist(),
        quota_K=target_K,
        chosen_K=chosen_K,
        shortfall_K=np.maximum(target_K - chosen_K, 0),
        launched_K=groups.launched_K,
        finished_K=filtered_K + groups.kept_K,
        filtered_K=filtered_K,
        failed_K=groups.count_K(Outcome.FAILED),
        rounds=rounds,
    )


def rank_in_task(tasks: IntArray, num_tasks: int) -> IntArray:
    """For each group, how many of the same task come before it."""
    order = np.argsort(tasks, kind="stable")
    starts_K = np.cumsum(np.bincount(tasks, minlength=num_tasks)) - np.bincount(tasks, minlength=num_tasks)
    rank = np.empty_like(tasks)
    rank[order] = np.arange(len(tasks)) - starts_K[tasks[order]]
    return rank
