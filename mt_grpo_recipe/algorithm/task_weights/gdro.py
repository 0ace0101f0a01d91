"""Rule `gdro`: multiplicative weights on debiased averages of the loss (Prompt-GDRO, arXiv 2601.19280)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray, as_vector
from mt_grpo_recipe.algorithm.task_weights.base import WeightRule, softmax


class RobustWeights(WeightRule):
    """z = (1 - gamma) softmax(eta S) + gamma / K, S_k <- d S_k + (1 - d) l_k (Eq. 12 to 15).

    S_k averages the mean loss of a task, not its sum, so that a task does not weigh more for being seen more often (the
    paper's debiasing); its first loss is taken whole, as in the authors' code. A task that was not seen keeps S_k.

    What differs from the paper:
    - Its groups are bins of difficulty within one data set; here they are tasks.
    - Its loss is minus the GRPO surrogate, which is zero for every prompt on-policy. Here l_k = K (1 - J_k), the share
      of wrong rollouts over the even share 1/K: the published runs divide the loss of a bin by its share of the batch.
    - It multiplies advantages by z; here the tasks are sampled by z.

    Args:
        num_tasks: K.
        sharpness: eta > 0, 0.65 in the published runs.
        loss_decay: d in [0, 1), the weight of the past; 0.88 in the published runs.
        exploration: gamma in [0, 1]; 0.01 in the published runs.
    """

    def __init__(self, num_tasks: int, sharpness: float, loss_decay: float, exploration: float):
        self._sharpness = sharpness
        self._loss_decay = loss_decay
        self._exploration = exploration
        self._loss_K = np.full(num_tasks, np.nan)
        self._accuracy_K = np.full(num_tasks, np.nan)

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,); a task never seen has the mean loss of the others."""
        loss_K = self._loss_K
        seen_K = ~np.isnan(loss_K)
        loss_K = np.where(seen_K, loss_K, loss_K[seen_K].mean() if seen_K.any() else 0.0)
        return (1 - self._exploration) * softmax(self._sharpness * loss_K) + self._exploration / len(loss_K)

    def observe(self, accuracy_K: FloatArray, rollouts_K: FloatArray) -> None:
        """Remember the accuracies of this step."""
        self._accuracy_K = as_vector(accuracy_K, missing=True)

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """Take in the share of wrong rollouts of the tasks that the step has seen."""
        loss_K = len(self._loss_K) * (1 - self._accuracy_K)
        average_K = self._loss_decay * self._loss_K + (1 - self._loss_decay) * loss_K
        average_K = np.where(np.isnan(self._loss_K), loss_K, average_K)
        self._loss_K = np.where(np.isnan(loss_K), self._loss_K, average_K)

    def state_dict(self) -> dict[str, Any]:
        """The averages S; None for a task never seen."""
        return {"loss": [None if np.isnan(loss) else loss for loss in self._loss_K.tolist()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._loss_K = np.asarray([np.nan if loss is None else loss for loss in state["loss"]], dtype=np.float64)
