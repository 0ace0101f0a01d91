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

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.objective import has_spread
from mt_grpo_recipe.config.schema import SamplerConfig


class Outcome(Enum):
    """What came of a launched group."""

    INFORMATIVE = "informative"
    FILTERED = "filtered"
    FAILED = "failed"


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


def draw_quotas(weights_K: FloatArray, batch_size: int, quota: str, rng: np.random.Generator) -> IntArray:
    """n: groups wanted of each task, shape (K,), summing to B.

    Args:
        weights_K: z, shape (K,).
        batch_size: B.
        quota: "multinomial", n ~ Multinomial(B, z) (Algorithm 2), or "stratified", |n_k - B z_k| < 1.
        rng: source of the draw.
    """
    if quota == "multinomial":
        return rng.multinomial(batch_size, weights_K / weights_K.sum()).astype(np.int64)
    return stratified_counts(weights_K / weights_K.sum(), batch_size, rng)


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
    """Every group of one step: its task, what came of it, and counts by task. Plain lists keep `tell` below 1 us."""

    def __init__(self, num_tasks: int):
        self.num_tasks = num_tasks
        self.task_of: list[int] = []
        self.outcome_of: list[Outcome | None] = []
        self.in_flight = 0
        self._launched = [0] * num_tasks
        self._kept = [0] * num_tasks
        self._filtered = [0] * num_tasks
        self._failed = [0] * num_tasks

    @property
    def launched_K(self) -> IntArray:
        """Groups launched so far, shape (K,)."""
        return np.asarray(self._launched, dtype=np.int64)

    @property
    def kept_K(self) -> IntArray:
        """c_k: informative groups so far, shape (K,)."""
        return np.asarray(self._kept, dtype=np.int64)

    @property
    def filtered_K(self) -> IntArray:
        """Groups without a gradient so far, shape (K,)."""
        return np.asarray(self._filtered, dtype=np.int64)

    @property
    def failed_K(self) -> IntArray:
        """Groups that failed so far, shape (K,)."""
        return np.asarray(self._failed, dtype=np.int64)

    def launch(self, tasks: list[int]) -> None:
        """Book groups as launched, in this order."""
        self.task_of += tasks
        self.outcome_of += [None] * len(tasks)
        for task in tasks:
            self._launched[task] += 1
        self.in_flight += len(tasks)

    def tell(self, launch_id: int, outcome: Outcome) -> int:
        """Book what came of a group and return its task.

        Raises:
            ValueError: the group was never launched, or its outcome is known already.
        """
        if not 0 <= launch_id < len(self.outcome_of) or self.outcome_of[launch_id] is not None:
            raise ValueError(f"group {launch_id} is not in flight ({len(self.outcome_of)} groups were launched)")
        self.outcome_of[launch_id] = outcome
        task = self.task_of[launch_id]
        if outcome is Outcome.INFORMATIVE:
            self._kept[task] += 1
        elif outcome is Outcome.FILTERED:
            self._filtered[task] += 1
        else:
            self._failed[task] += 1
        self.in_flight -= 1
        return task


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
        # Counts at the end of the last round.
        self._filtered_before_K = np.zeros_like(self.quota_K)
        self._kept_before_K = np.zeros_like(self.quota_K)

    @property
    def in_flight(self) -> int:
        """Groups launched of which nothing was told yet."""
        return self._groups.in_flight

    @property
    def _unmet(self) -> bool:
        if self._config.ratio or self._config.filter == "off":
            return bool((self._groups.kept_K < self.quota_K).any())
        return int(self._groups.kept_K.sum()) < self._batch_size

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
        deficit_K = np.maximum(self.quota_K - self._groups.kept_K, 0)
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
        if not self.in_flight:
            self._end_round()

    def _end_round(self) -> None:
        filtered_K, kept_K = self._groups.filtered_K, self._groups.kept_K
        new_filtered_K, new_kept_K = filtered_K - self._filtered_before_K, kept_K - self._kept_before_K
        self._tracker.update(new_filtered_K, new_filtered_K + new_kept_K)
        self._filtered_before_K, self._kept_before_K = filtered_K, kept_K

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
    informative = [i for i, outcome in enumerate(groups.outcome_of) if outcome is Outcome.INFORMATIVE]
    if limit_K is None:
        chosen = informative[:batch_size]
    else:
        within: list[int] = []
        surplus: list[int] = []
        room = limit_K.tolist()
        for launch_id in informative:
            task = groups.task_of[launch_id]
            (within if room[task] > 0 else surplus).append(launch_id)
            room[task] -= 1
        chosen = sorted((within + surplus)[:batch_size])
    tasks = np.asarray([groups.task_of[i] for i in chosen], dtype=np.int64)
    chosen_K = np.bincount(tasks, minlength=groups.num_tasks)
    filtered_K = groups.filtered_K
    return Selection(
        launch_ids=chosen,
        quota_K=target_K,
        chosen_K=chosen_K,
        shortfall_K=np.maximum(target_K - chosen_K, 0),
        launched_K=groups.launched_K,
        finished_K=filtered_K + groups.kept_K,
        filtered_K=filtered_K,
        failed_K=groups.failed_K,
        rounds=rounds,
    )
