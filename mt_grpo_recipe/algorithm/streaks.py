"""Steps in a row in which something is amiss with a task's groups."""

from __future__ import annotations

import numpy as np

from mt_grpo_recipe.algorithm.arrays import IntArray
from mt_grpo_recipe.algorithm.selection import Selection

FAILING_STEPS_LIMIT = 3
"""Steps in a row after which a failing task counts as broken, and a run without any finished group stops."""


class Streaks:
    """Counts steps in a row, per task and over all tasks.

    Only `failing_K`, which has a part in how the weights move, is saved; a resumed run counts the others from zero.

    A step in which no group of a task ended leaves the task's counts as they are.

    Args:
        num_tasks: K.
    """

    def __init__(self, num_tasks: int):
        self.failing_K = np.zeros(num_tasks, dtype=np.int64)
        """Steps in which groups of the task failed and none finished, shape (K,)."""
        self.failing = 0
        """Steps in which groups failed and none of any task finished."""
        self.dropped_K = np.zeros(num_tasks, dtype=np.int64)
        """Steps in which groups of the task finished and all of them were filtered, shape (K,)."""
        self.dropped_spread_K = np.zeros(num_tasks, dtype=np.int64)
        """Groups of those steps whose rewards differ, shape (K,)."""
        self.wrong_K = np.zeros(num_tasks, dtype=np.int64)
        """Steps in which groups of the task finished and every rollout had accuracy 0, shape (K,)."""

    @property
    def broken(self) -> list[int]:
        """Tasks whose groups have all failed for at least `FAILING_STEPS_LIMIT` steps.

        None where nothing at all finishes: the cause is more likely one that passes, such as a server that restarts.
        """
        return [] if self.failing else np.flatnonzero(self.failing_K >= FAILING_STEPS_LIMIT).tolist()

    def observe(self, selection: Selection) -> None:
        """Count a step."""
        finished_K = selection.finished_K > 0
        failing_K = (selection.failed_K > 0) & ~finished_K
        self.failing_K = _count(self.failing_K, failing_K, finished_K)
        self.failing = self.failing + 1 if failing_K.any() and not finished_K.any() else 0
        kept_K = selection.finished_K > selection.filtered_K
        self.dropped_K = _count(self.dropped_K, finished_K & ~kept_K, kept_K)
        self.dropped_spread_K = np.where(kept_K, 0, self.dropped_spread_K + selection.filtered_spread_K)
        right_K = selection.correct_K > 0
        self.wrong_K = _count(self.wrong_K, finished_K & ~right_K, right_K)


def _count(count_K: IntArray, more_K: np.ndarray, over_K: np.ndarray) -> IntArray:
    """The counts after a step: one more where the streak goes on, zero where it is over, unchanged elsewhere."""
    return np.where(over_K, 0, count_K + more_K)
