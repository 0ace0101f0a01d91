"""rho_k: the tracked share of a task's groups that are filtered (arXiv 2602.05547, Algorithm 2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.arrays import BoolArray, FloatArray, IntArray

IDLE_INFORMATIVE = 0.1
IDLE_FINISHED = 8.0
"""A task is idle if at least the second number of its groups finished and fewer than the first were informative, both
decayed over the steps: with decay 0.9, none for 22 steps, or none of the first eight."""

BARREN_UPDATES = 22
"""A task is barren if none of its groups was informative in this many updates in a row in which some finished.
Unlike idle, that takes a while: a hard task needs many tries at first."""


class AcceptanceTracker:
    """Exponential moving average of the filtered share of each task, starting at zero.

    The tracker also keeps decayed counts of groups. Their ratio does not start at zero, and they tell how much evidence
    there is: the streaming sampler starts each step from them.

    Args:
        num_tasks: K.
        decay: weight of the past in [0, 1); 0.9 in the authors' released code.
    """

    def __init__(self, num_tasks: int, decay: float):
        self._decay = decay
        self._filtered_rate_K = np.zeros(num_tasks)
        self._recent_filtered_K = np.zeros(num_tasks)
        self._recent_finished_K = np.zeros(num_tasks)
        self._barren_updates_K = np.zeros(num_tasks, dtype=np.int64)

    @property
    def filtered_rate_K(self) -> FloatArray:
        """rho, shape (K,), each in [0, 1]."""
        return self._filtered_rate_K.copy()

    @property
    def recent_filtered_K(self) -> FloatArray:
        """Filtered groups, shape (K,); each later update multiplies the weight of earlier ones by `decay`."""
        return self._recent_filtered_K.copy()

    @property
    def recent_finished_K(self) -> FloatArray:
        """All groups that finished, weighted the same way, shape (K,)."""
        return self._recent_finished_K.copy()

    @property
    def idle_K(self) -> BoolArray:
        """Whether each task has shown no informative group for long, shape (K,)."""
        informative_K = self._recent_finished_K - self._recent_filtered_K
        return (informative_K < IDLE_INFORMATIVE) & (self._recent_finished_K >= IDLE_FINISHED)

    @property
    def barren_K(self) -> BoolArray:
        """Whether each task has shown no informative group in `BARREN_UPDATES` updates, shape (K,)."""
        return self._barren_updates_K >= BARREN_UPDATES

    def update(self, filtered_K: IntArray, finished_K: IntArray) -> None:
        """Take in a set of finished groups; tasks without any keep their values.

        Args:
            filtered_K: filtered groups, shape (K,).
            finished_K: all groups that finished, shape (K,).
        """
        seen_K = finished_K > 0
        rate_K = filtered_K[seen_K] / finished_K[seen_K]
        self._filtered_rate_K[seen_K] = self._decay * self._filtered_rate_K[seen_K] + (1 - self._decay) * rate_K
        self._barren_updates_K[seen_K] += 1
        self._barren_updates_K[finished_K > filtered_K] = 0
        for recent_K, new_K in ((self._recent_filtered_K, filtered_K), (self._recent_finished_K, finished_K)):
            recent_K[seen_K] = self._decay * recent_K[seen_K] + new_K[seen_K]

    def inflation_K(self, max_inflation: float) -> FloatArray:
        """m_k = min(1 / (1 - rho_k), M_acc): prompts to generate per informative one, shape (K,)."""
        acceptance_K = np.maximum(1 - self._filtered_rate_K, 1 / max_inflation)
        return 1 / acceptance_K

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state."""
        return {
            "filtered_rate": self._filtered_rate_K.tolist(),
            "recent_filtered": self._recent_filtered_K.tolist(),
            "recent_finished": self._recent_finished_K.tolist(),
            "barren_updates": self._barren_updates_K.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._filtered_rate_K = np.asarray(state["filtered_rate"], dtype=np.float64)
        self._recent_filtered_K = np.asarray(state["recent_filtered"], dtype=np.float64)
        self._recent_finished_K = np.asarray(state["recent_finished"], dtype=np.float64)
        self._barren_updates_K = np.asarray(state["barren_updates"], dtype=np.int64)
