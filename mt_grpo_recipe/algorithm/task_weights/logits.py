"""Logits xi with z = softmax(xi), moved by AdamW along the gradient of a weighted score (arXiv 2602.05547)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mt_grpo_recipe.algorithm.arrays import FloatArray, as_vector
from mt_grpo_recipe.algorithm.task_weights.base import WeightRule, softmax


def logit_gradient(weights_K: FloatArray, scores_K: FloatArray) -> FloatArray:
    """g_k = z_k (s_k - sum_j z_j s_j): gradient of sum_k softmax(xi)_k s_k with respect to xi, shape (K,)."""
    return weights_K * (scores_K - weights_K @ scores_K)


def fill_unmeasured(weights_K: FloatArray, scores_K: FloatArray) -> FloatArray:
    """Give each task without a score (NaN) the z-weighted mean of the others, so that its g_k is zero, shape (K,).

    Where no task has a score, all get zero.
    """
    measured_K = ~np.isnan(scores_K)
    if not measured_K.any():
        return np.zeros(len(scores_K))
    return np.where(measured_K, scores_K, np.average(scores_K[measured_K], weights=weights_K[measured_K]))


class AdamWLogits(WeightRule):
    """Logits xi moved by AdamW on a gradient that the subclass supplies; z = softmax(xi)."""

    def __init__(self, num_tasks: int, learning_rate: float, weight_decay: float):
        self._xi = torch.zeros(num_tasks, dtype=torch.float64)
        self._optimizer = torch.optim.AdamW(
            [self._xi], lr=learning_rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay
        )

    @property
    def weights_K(self) -> FloatArray:
        """z = softmax(xi), shape (K,)."""
        return softmax(self._xi.numpy())

    def _scores(self, accuracy_K: FloatArray, signal_K: FloatArray) -> FloatArray:
        raise NotImplementedError

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """One AdamW step on xi along g (see `logit_gradient`)."""
        scores_K = self._scores(as_vector(accuracy_K, missing=True), as_vector(signal_K))
        scores_K = fill_unmeasured(self.weights_K, scores_K)
        self._xi.grad = torch.from_numpy(logit_gradient(self.weights_K, scores_K))
        self._optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Logits and both AdamW moments as lists of floats, and the number of updates made."""
        moments = self._optimizer.state[self._xi]
        return {
            "logits": self._xi.tolist(),
            "exp_avg": moments["exp_avg"].tolist() if moments else None,
            "exp_avg_sq": moments["exp_avg_sq"].tolist() if moments else None,
            "updates": int(moments["step"]) if moments else 0,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._xi.copy_(torch.tensor(state["logits"], dtype=torch.float64))
        self._optimizer.state.clear()
        if state["updates"]:
            self._optimizer.state[self._xi] = {
                "step": torch.tensor(float(state["updates"])),
                "exp_avg": torch.tensor(state["exp_avg"], dtype=torch.float64),
                "exp_avg_sq": torch.tensor(state["exp_avg_sq"], dtype=torch.float64),
            }
