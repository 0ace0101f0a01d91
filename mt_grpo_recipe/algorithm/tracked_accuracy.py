"""J_k with its uncertainty: from how many groups it was measured, and how long ago."""

from __future__ import annotations

from typing import Any

import numpy as np

from mt_grpo_recipe import metrics
from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray

DECAY = 0.9
"""Weight of the past, per step."""

LARGEST_ERROR = 0.5
"""Largest standard deviation of one group: that of an accuracy that is 0 or 1 equally often."""


class AccuracyTracker:
    """Moving average of the accuracy of each task, over groups, with its standard error.

    A group from `a` steps ago weighs w = 0.9^a, whether the task was sampled since or not. With W = sum w the mean is
    sum(w x) / W; it rests on W^2 / sum(w^2) groups, times 0.9^age for the steps since the last of them: less and less
    is known of a task that is no longer sampled. Groups are the unit, since rollouts of one prompt resemble each other.

    Args:
        num_tasks: K.
    """

    def __init__(self, num_tasks: int):
        self.steps = 0
        """Steps since the run began."""
        self._age_K = np.zeros(num_tasks, dtype=np.int64)
        # Sums over groups of w, w^2, w x and w x^2, as they were in the step in which the task was last seen.
        self._sums_K = np.zeros((4, num_tasks))

    def update(self, finished_K: IntArray, correct_K: FloatArray, squares_K: FloatArray) -> None:
        """Take in a step.

        Args:
            finished_K: groups that finished, shape (K,).
            correct_K: sum over them of their accuracy x, shape (K,).
            squares_K: sum over them of x^2, shape (K,).
        """
        self.steps += 1
        self._age_K += 1
        seen_K = finished_K > 0
        decay_K = DECAY ** self._age_K[seen_K].astype(np.float64)
        self._sums_K[:, seen_K] *= np.stack([decay_K, decay_K**2, decay_K, decay_K])
        self._sums_K[:, seen_K] += np.stack([finished_K, finished_K, correct_K, squares_K])[:, seen_K]
        self._age_K[seen_K] = 0

    @property
    def seen_K(self) -> np.ndarray:
        """Whether a group of the task ever finished, shape (K,)."""
        return self._sums_K[0] > 0

    @property
    def age_K(self) -> IntArray:
        """Steps since a group of the task finished, shape (K,); since the run began if none did."""
        return self._age_K.copy()

    @property
    def mean_K(self) -> FloatArray:
        """Tracked J_k, shape (K,); NaN for a task never seen."""
        return self._ratio_K(self._sums_K[2], self._sums_K[0])

    @property
    def groups_K(self) -> FloatArray:
        """Groups that the mean rests on, fewer by the steps since the last of them, shape (K,)."""
        return np.nan_to_num(self._ratio_K(self._sums_K[0] ** 2, self._sums_K[1])) * DECAY**self._age_K

    @property
    def error_K(self) -> FloatArray:
        """Standard error of the mean, shape (K,), at most 0.5; NaN for a task never seen.

        One more group than was seen is counted, with the largest variance, so that a few equal groups do not pass for
        certainty.
        """
        groups_K = np.maximum(self.groups_K, np.finfo(np.float64).tiny)
        variance_K = np.maximum(self._ratio_K(self._sums_K[3], self._sums_K[0]) - self.mean_K**2, 0.0)
        variance_K = (groups_K * variance_K + LARGEST_ERROR**2) / (groups_K + 1)
        return np.minimum(np.sqrt(variance_K / groups_K), LARGEST_ERROR)

    def readings(self) -> dict[metrics.Metric, FloatArray]:
        """What is logged of each task, arrays of shape (K,); NaN where there is nothing to log."""
        return {
            metrics.TRACKED_ACCURACY: self.mean_K,
            metrics.TRACKED_ERROR: self.error_K,
            metrics.TRACKED_GROUPS: self.groups_K,
            metrics.TRACKED_AGE: self.age_K.astype(np.float64),
        }

    def _ratio_K(self, above_K: FloatArray, below_K: FloatArray) -> FloatArray:
        return np.divide(above_K, below_K, out=np.full(len(below_K), np.nan), where=self.seen_K)

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state."""
        return {"steps": self.steps, "age": self._age_K.tolist(), "sums": self._sums_K.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.steps = int(state["steps"])
        self._age_K = np.asarray(state["age"], dtype=np.int64)
        self._sums_K = np.asarray(state["sums"], dtype=np.float64)
