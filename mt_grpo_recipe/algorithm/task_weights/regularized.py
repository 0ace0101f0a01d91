"""Rule `regularized`: Subroutine 2 of arXiv 2602.05547, the ablation."""

from __future__ import annotations

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.task_weights.logits import AdamWLogits


class RegularizedWeights(AdamWLogits):
    """Subroutine 2 (the ablation): s_k = J_k and xi <- xi - beta (g + eta xi).

    AdamW's decoupled decay is the term beta * eta * xi, which pulls z back to uniform.
    """

    def __init__(self, num_tasks: int, learning_rate: float, eta: float):
        super().__init__(num_tasks, learning_rate, weight_decay=eta)

    def _scores(self, accuracy_K: FloatArray, signal_K: FloatArray) -> FloatArray:
        return accuracy_K
