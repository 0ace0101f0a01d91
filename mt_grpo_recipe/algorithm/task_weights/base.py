"""What every rule that moves the distribution z over the K tasks provides."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np

from mt_grpo_recipe import metrics
from mt_grpo_recipe.algorithm.arrays import FloatArray


def softmax(logits_K: FloatArray) -> FloatArray:
    """Return softmax of a vector, shape (K,), stable for large logits."""
    exp_K = np.exp(logits_K - logits_K.max())
    return exp_K / exp_K.sum()


def with_min_share(weights_K: FloatArray, min_share: float) -> FloatArray:
    """min_share + (1 - K min_share) z: every task keeps at least `min_share`, shape (K,).

    Args:
        weights_K: z, shape (K,).
        min_share: in [0, 1/K].
    """
    return min_share + (1 - len(weights_K) * min_share) * weights_K


class Signal(Enum):
    """What a rule learns from, beside the accuracies."""

    NONE = "none"
    IMPROVEMENT = metrics.IMPROVEMENT.key
    """I_k, see `objective.task_improvement`."""
    ADVANTAGE = metrics.ADVANTAGE.key
    """Mean absolute advantage of the task's samples in the batch."""


class WeightRule:
    """A distribution z over the tasks, moved once per policy update. This one never moves it, and keeps no state."""

    reads: Signal = Signal.NONE
    """What `update` takes beside the accuracies."""

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,), non-negative, sums to one."""
        raise NotImplementedError

    @property
    def standing_weights(self) -> list[FloatArray]:
        """Every z that the rule keeps whatever is measured, arrays of shape (K,); none if measurements move it."""
        return []

    @property
    def finished(self) -> bool:
        """Whether the run has reached what it was started for and should end."""
        return False

    @property
    def notices(self) -> list[str]:
        """What the latest update has to tell the user, one sentence each."""
        return []

    def start(self, accuracy_K: FloatArray) -> None:
        """Take the accuracies of a validation before the first step.

        Args:
            accuracy_K: shape (K,); NaN for a task without validation data.
        """

    def observe(self, accuracy_K: FloatArray, rollouts_K: FloatArray) -> None:
        """Take in what a step generated and will train on.

        Args:
            accuracy_K: J_k of this step alone, shape (K,); NaN for a task without a finished group.
            rollouts_K: rollouts in the batch, shape (K,).
        """

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """Move z after one policy update.

        Args:
            accuracy_K: J_k, as last seen, or its moving average for a rule with `accuracy_decay`, shape (K,). A task
                without a finished group in this step keeps its number. NaN: never seen, or all its groups failed
                when it was last sampled; such a task should exert no pull on z.
            signal_K: what `reads` says, or unused, shape (K,); 0 for a task that the batch did not hold.
        """

    def skip(self) -> None:
        """A step trained on nothing: z stays."""

    def readings(self) -> dict[metrics.Metric, FloatArray]:
        """What the rule logs of each task after an update, arrays of shape (K,); NaN where there is nothing to log."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state from which `load_state_dict` continues exactly."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
