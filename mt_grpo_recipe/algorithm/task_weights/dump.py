"""Rule `dump`: a bandit over tasks by their mean absolute advantage (DUMP, arXiv 2504.09710)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray, as_vector
from mt_grpo_recipe.algorithm.task_weights.base import Signal, WeightRule, softmax


class UpperConfidenceWeights(WeightRule):
    """z = softmax(UCB / tau) with UCB_k = L_k + sqrt(2 ln(n + 1) / (n_k + 1)).

    L_k is the mean |A| over the latest `window` rollouts of the task that were in a batch; n_k counts all that ever
    were, and n is their sum. Formula and defaults are those of the authors' code. Only each task's mean per batch is
    kept, so a window that begins within a batch uses that batch's mean for its part of it. A task that was in no batch
    has L_k = 0 and the largest bonus.

    Args:
        num_tasks: K.
        temperature: tau > 0.
        window: rollouts, at least 1.
    """

    reads = Signal.ADVANTAGE

    def __init__(self, num_tasks: int, temperature: float, window: int):
        self._temperature = temperature
        self._window = window
        self._count_K = np.zeros(num_tasks)
        self._batches: list[list[tuple[float, float]]] = [[] for _ in range(num_tasks)]
        """Per task, rollouts and mean |A| of the latest batches, oldest first, together at most the window."""
        self._rollouts_K = np.zeros(num_tasks)

    @property
    def weights_K(self) -> FloatArray:
        """z = softmax(UCB / tau), shape (K,)."""
        bonus_K = np.sqrt(2 * np.log(self._count_K.sum() + 1) / (self._count_K + 1))
        return softmax((self._learnability_K + bonus_K) / self._temperature)

    @property
    def _learnability_K(self) -> FloatArray:
        return np.array([sum(n * mean for n, mean in b) / sum(n for n, _ in b) if b else 0.0 for b in self._batches])

    def observe(self, accuracy_K: FloatArray, rollouts_K: FloatArray) -> None:
        """Remember how many rollouts the signal of this step stands for."""
        self._rollouts_K = rollouts_K

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """Take in the mean absolute advantages `signal_K` of a batch."""
        signal_K = as_vector(signal_K)
        for task in np.flatnonzero(self._rollouts_K):
            batches = [*self._batches[task], (float(self._rollouts_K[task]), float(signal_K[task]))]
            self._batches[task] = _latest(batches, self._window)
        self._count_K += self._rollouts_K

    def state_dict(self) -> dict[str, Any]:
        """The counts, and the batches of the window."""
        return {"count": self._count_K.tolist(), "batches": [[list(batch) for batch in b] for b in self._batches]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._count_K = np.asarray(state["count"], dtype=np.float64)
        self._batches = [[(float(n), float(mean)) for n, mean in b] for b in state["batches"]]


def _latest(batches: list[tuple[float, float]], window: float) -> list[tuple[float, float]]:
    """The end of a list of (rollouts, mean), with at most this many rollouts."""
    kept: list[tuple[float, float]] = []
    for rollouts, mean in reversed(batches):
        if window <= 0:
            break
        kept.append((min(rollouts, window), mean))
        window -= rollouts
    return kept[::-1]
