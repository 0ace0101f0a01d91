"""Which tasks come no nearer to what is asked of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.arrays import BoolArray, FloatArray, IntArray
from mt_grpo_recipe.algorithm.task_weights.constraints import INTERVAL, WARM_UP_STEPS
from mt_grpo_recipe.algorithm.tracked_accuracy import AccuracyTracker

LEAST_PROGRESS = 0.1
"""The part of its distance to the bound that a task must gain for it to count as progress: at this pace it takes ten
times `patience` steps."""


class ProgressWatch:
    """Calls a task out of reach if it is trained and comes no nearer to what is asked of it.

    Progress is a rise of the tracked accuracy since the last progress, by a tenth of what the task is short and by
    enough that the two accuracies surely differ. It also ends the verdict. The clock does not run for a task that is
    above its bounds, but not surely: it lacks groups, not accuracy.

    Args:
        num_tasks: K.
        patience: steps without progress in which the task had half an even share or more.
    """

    def __init__(self, num_tasks: int, patience: int):
        self._patience = patience
        self._best_K = np.full(num_tasks, np.nan)
        self._since_K = np.zeros(num_tasks, dtype=np.int64)
        self._waited_K = np.zeros(num_tasks, dtype=np.int64)
        self._out_of_reach_K = np.zeros(num_tasks, dtype=bool)

    @property
    def out_of_reach_K(self) -> BoolArray:
        """Shape (K,)."""
        return self._out_of_reach_K.copy()

    @property
    def since_K(self) -> IntArray:
        """Step of the last progress, shape (K,)."""
        return self._since_K.copy()

    def update(self, tracked: AccuracyTracker, short_K: FloatArray, unmet_K: BoolArray, trained_K: BoolArray) -> None:
        """Take in a step.

        Args:
            tracked: the accuracies.
            short_K: what each task is short of the highest of its bounds, shape (K,); NaN where it has none.
            unmet_K: whether a constraint of the task is not met, shape (K,).
            trained_K: whether the task was trained on enough to expect progress, shape (K,).
        """
        mean_K = tracked.mean_K
        # Both accuracies are uncertain, the earlier one about as much.
        surely_K = INTERVAL * np.sqrt(2) * tracked.error_K
        needed_K = self._best_K + np.fmax(surely_K, LEAST_PROGRESS * short_K)
        # A task that was met, was never seen, or has no settled average yet starts afresh.
        anew_K = ~unmet_K | np.isnan(needed_K) | (tracked.steps < WARM_UP_STEPS)
        progress_K = anew_K | (mean_K >= needed_K)
        self._best_K = np.where(progress_K, mean_K, self._best_K)
        self._since_K[progress_K] = tracked.steps
        self._waited_K = np.where(progress_K, 0, self._waited_K + (trained_K & (short_K > 0)))
        self._out_of_reach_K = ~progress_K & (self._out_of_reach_K | (self._waited_K >= self._patience))

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state."""
        return {
            "best": [None if np.isnan(best) else best for best in self._best_K.tolist()],
            "since": self._since_K.tolist(),
            "waited": self._waited_K.tolist(),
            "out_of_reach": self._out_of_reach_K.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._best_K = np.asarray([np.nan if best is None else best for best in state["best"]], dtype=np.float64)
        self._since_K = np.asarray(state["since"], dtype=np.int64)
        self._waited_K = np.asarray(state["waited"], dtype=np.int64)
        self._out_of_reach_K = np.asarray(state["out_of_reach"], dtype=bool)
