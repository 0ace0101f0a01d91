"""Rule `improvement_aware`: Subroutine 1 (IWU) of arXiv 2602.05547."""

from __future__ import annotations

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.task_weights.base import Signal
from mt_grpo_recipe.algorithm.task_weights.logits import AdamWLogits


def improvement_scores(
    improvement_K: FloatArray, accuracy_K: FloatArray, improvement_clip: float, trade_off: float
) -> FloatArray:
    """s_k = clip(I_k, -c, c) + lambda * J_k (Subroutine 1, line 3).

    Args:
        improvement_K: I_k, change of the task's clipped surrogate through the policy update (Eq. 8), shape (K,).
        accuracy_K: J_k, mean accuracy of the task in [0, 1], shape (K,).
        improvement_clip: c > 0.
        trade_off: lambda >= 0; large values follow the worst accuracy, zero follows improvement alone.
    """
    return np.clip(improvement_K, -improvement_clip, improvement_clip) + trade_off * accuracy_K


class ImprovementAwareWeights(AdamWLogits):
    """IWU (Subroutine 1): weight moves to tasks that are weak or have stopped improving."""

    reads = Signal.IMPROVEMENT

    def __init__(
        self, num_tasks: int, learning_rate: float, weight_decay: float, trade_off: float, improvement_clip: float
    ):
        super().__init__(num_tasks, learning_rate, weight_decay)
        self._trade_off = trade_off
        self._improvement_clip = improvement_clip

    def _scores(self, accuracy_K: FloatArray, signal_K: FloatArray) -> FloatArray:
        return improvement_scores(signal_K, accuracy_K, self._improvement_clip, self._trade_off)
