"""The ratio-preserving sampler in rounds (arXiv 2602.05547, Algorithm 2)."""

from __future__ import annotations

import numpy as np

from mt_grpo_recipe.algorithm.arrays import IntArray
from mt_grpo_recipe.algorithm.groups import GroupLedger, GroupResult, Outcome
from mt_grpo_recipe.algorithm.quotas import draw_quotas, stratified_counts
from mt_grpo_recipe.algorithm.samplers.base import Step
from mt_grpo_recipe.algorithm.selection import Selection, select_groups
from mt_grpo_recipe.algorithm.settings import RoundsSettings


class RoundsSampler:
    """Algorithm 2: generate a round, wait for all of it, and generate again while a quota is unmet.

    The tracked share of filtered groups, rho, is updated at the end of every round.

    Args:
        step: what the step runs with; nothing is carried into it.

    Raises:
        TypeError: the step's settings are those of another schedule.
    """

    def __init__(self, step: Step):
        settings = step.settings
        if not isinstance(settings, RoundsSettings):
            raise TypeError(f"RoundsSampler needs RoundsSettings, not {type(settings).__name__}")
        self._step = step
        self._settings = settings
        self.quota_K = draw_quotas(step.weights_K, step.batch_size, settings.quota, step.rng)
        self._groups = GroupLedger(len(step.weights_K), step=step.number)
        self._broken_K = step.broken_K
        self._rounds = 0
        # Counts at the end of the last round; nothing reads them while one runs.
        self._informative_K = np.zeros_like(self.quota_K)
        self._filtered_K = np.zeros_like(self.quota_K)

    @property
    def in_flight(self) -> int:
        """Groups launched whose result was not told yet."""
        return self._groups.in_flight

    @property
    def _deficit_K(self) -> IntArray:
        """Informative groups to be generated still, shape (K,)."""
        deficit_K = np.maximum(self.quota_K - self._informative_K, 0)
        if self._rounds:  # The first round tries every task.
            deficit_K[self._broken_K & (self._informative_K + self._filtered_K == 0)] = 0
        return deficit_K

    @property
    def _unmet(self) -> bool:
        if self._settings.fills_by_task:
            return bool(self._deficit_K.any())
        return int(self._informative_K.sum()) < self._step.batch_size

    @property
    def done(self) -> bool:
        """Nothing is in flight, and the quotas are met or the budget is spent."""
        if self._rounds == 0 or self.in_flight:
            return False
        return self._rounds > self._settings.max_resample_rounds or not self._unmet

    def ask(self) -> list[int]:
        """Tasks of the groups to launch now, in launch order; empty while a round runs and when done."""
        if self.in_flight or self.done:
            return []
        tasks = np.repeat(np.arange(len(self.quota_K)), self._round_counts_K())
        # Mixed order: without it a fill-up from "the first launched" would favour low task numbers.
        launches = self._step.rng.permutation(tasks).tolist()
        self._groups.launch(launches)
        self._rounds += 1
        return launches

    def _round_counts_K(self) -> IntArray:
        """Groups of each task in the round that starts now, shape (K,)."""
        settings, rng, weights_K = self._settings, self._step.rng, self._step.weights_K
        round_size = settings.round_size(self._step.batch_size)
        deficit_K = self._deficit_K
        if not settings.drop_uninformative:
            # Later rounds replace failed groups one for one, task for task.
            return deficit_K
        if not settings.ratio:
            return draw_quotas(weights_K, round_size, settings.quota, rng)
        wanted_K = (weights_K if self._rounds == 0 else deficit_K) * self._step.inflation_K
        return stratified_counts(wanted_K / wanted_K.sum(), round_size, rng)

    def tell(self, launch_id: int, result: GroupResult) -> None:
        """Say what came of a group.

        Raises:
            ValueError: the group was never launched, or its result is known already.
        """
        self._groups.tell(launch_id, result)
        if not self.in_flight:
            self._end_round()

    def _end_round(self) -> None:
        outcomes = self._groups.outcomes()
        informative_K = self._groups.count_K(outcomes == Outcome.INFORMATIVE)
        filtered_K = self._groups.count_K(outcomes == Outcome.FILTERED)
        new_filtered_K = filtered_K - self._filtered_K
        self._step.tracker.update(new_filtered_K, new_filtered_K + informative_K - self._informative_K)
        self._informative_K, self._filtered_K = informative_K, filtered_K

    def select(self) -> Selection:
        """Choose at most n_k informative groups of each task, then fill up to B from the rest, in launch order."""
        limit_K = self.quota_K if self._settings.ratio else None
        return select_groups(self._groups, self.quota_K, limit_K, self._step.batch_size, self._rounds)
