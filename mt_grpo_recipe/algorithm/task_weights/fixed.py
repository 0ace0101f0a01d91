"""Rules `fixed` and `proportional`: z never moves."""

from __future__ import annotations

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray, as_vector
from mt_grpo_recipe.algorithm.task_weights.base import WeightRule


class FixedWeights(WeightRule):
    """z never moves.

    Args:
        weights_K: z times any factor, shape (K,): uniform or as given (`fixed`), the rows of the data (`proportional`).
    """

    def __init__(self, weights_K: FloatArray):
        self._weights_K = as_vector(weights_K) / np.sum(weights_K)

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,)."""
        return self._weights_K.copy()

    @property
    def standing_weights(self) -> list[FloatArray]:
        """The one there is."""
        return [self.weights_K]
