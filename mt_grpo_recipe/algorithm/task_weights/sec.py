"""Rule `sec`: the self-evolving curriculum (arXiv 2505.14970)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray, as_vector
from mt_grpo_recipe.algorithm.task_weights.base import Signal, WeightRule, softmax


class SelfEvolvingWeights(WeightRule):
    """Self-evolving curriculum (SEC, Chen et al. 2025, arXiv 2505.14970): a bandit over tasks, z = softmax(Q / tau).

    TD(0): Q <- alpha r + (1 - alpha) Q with r the mean absolute advantage of the task's samples, zero for a task the
    batch did not hold; Q starts at zero, and keeps its value where the task was not measured.

    Args:
        num_tasks: K.
        alpha: share that a new value takes, in (0, 1].
        temperature: tau > 0.
    """

    reads = Signal.ADVANTAGE

    def __init__(self, num_tasks: int, alpha: float, temperature: float):
        self._alpha = alpha
        self._temperature = temperature
        self._value_K = np.zeros(num_tasks)

    @property
    def weights_K(self) -> FloatArray:
        """z = softmax(Q / tau), shape (K,)."""
        return softmax(self._value_K / self._temperature)

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """One TD(0) step toward the mean absolute advantages `signal_K`."""
        moved_K = self._alpha * as_vector(signal_K) + (1 - self._alpha) * self._value_K
        self._value_K = np.where(np.isnan(accuracy_K), self._value_K, moved_K)

    def state_dict(self) -> dict[str, Any]:
        """The values Q."""
        return {"value": self._value_K.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._value_K = np.asarray(state["value"], dtype=np.float64)
