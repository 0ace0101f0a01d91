"""Rules that move the distribution z over the K tasks.

Letters: K tasks; `_K` marks an array with one entry per task. Every rule keeps logits xi with z = softmax(xi) and is
updated once per step (or mini-batch) from the accuracies J_K and the improvements I_K that the step showed.
Paper: "Multi-Task GRPO: Reliable LLM Reasoning Across Tasks", arXiv 2602.05547.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

import numpy as np
import torch

from mt_grpo_recipe import metrics
from mt_grpo_recipe.algorithm.arrays import FloatArray, as_vector
from mt_grpo_recipe.algorithm.settings import (
    CurriculumSettings,
    FixedSettings,
    RegularizedSettings,
    RuleSettings,
    SequentialSettings,
)


def softmax(logits_K: FloatArray) -> FloatArray:
    """Return softmax of a vector, shape (K,), stable for large logits."""
    exp_K = np.exp(logits_K - logits_K.max())
    return exp_K / exp_K.sum()


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


class Signal(Enum):
    """What a rule learns from, beside the accuracies."""

    NONE = "none"
    IMPROVEMENT = metrics.IMPROVEMENT.key
    """I_k, see `objective.task_improvement`."""
    ADVANTAGE = metrics.ADVANTAGE.key
    """Mean absolute advantage of the task's samples in the batch."""


class WeightRule(Protocol):
    """What the controller asks of a rule."""

    reads: Signal
    """What `update` takes beside the accuracies."""

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,), non-negative, sums to one."""
        ...

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """Move z after one policy update.

        Args:
            accuracy_K: J_k, shape (K,); NaN for a task that was not measured, which does not move z for itself.
            signal_K: what `reads` says, or unused, shape (K,).
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state from which `load_state_dict` continues exactly."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        ...


class FixedWeights:
    """z never moves: uniform, or as given."""

    reads = Signal.NONE

    def __init__(self, weights_K: FloatArray):
        self._weights_K = as_vector(weights_K) / np.sum(weights_K)

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,)."""
        return self._weights_K.copy()

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """Do nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing changes over time, so nothing is kept."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class _AdamWLogits:
    """Logits xi moved by AdamW on a gradient that the subclass supplies; z = softmax(xi)."""

    reads = Signal.NONE

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


class ImprovementAwareWeights(_AdamWLogits):
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


class RegularizedWeights(_AdamWLogits):
    """Subroutine 2 (the ablation): s_k = J_k and xi <- xi - beta (g + eta xi).

    AdamW's decoupled decay is the term beta * eta * xi, which pulls z back to uniform.
    """

    def __init__(self, num_tasks: int, learning_rate: float, eta: float):
        super().__init__(num_tasks, learning_rate, weight_decay=eta)

    def _scores(self, accuracy_K: FloatArray, signal_K: FloatArray) -> FloatArray:
        return accuracy_K


class SelfEvolvingWeights:
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


class SequentialWeights:
    """Stages of tasks, one after the other: z is uniform over the tasks of the current stage and zero elsewhere.

    Args:
        num_tasks: K.
        stages: task numbers of each stage.
        stage_steps: updates a stage lasts; the last stage never ends.
    """

    reads = Signal.NONE

    def __init__(self, num_tasks: int, stages: list[list[int]], stage_steps: int):
        self._stages_K = np.zeros((len(stages), num_tasks))
        for stage, tasks in enumerate(stages):
            self._stages_K[stage, tasks] = 1 / len(tasks)
        self._stage_steps = stage_steps
        self._updates = 0

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,)."""
        return self._stages_K[min(self._updates // self._stage_steps, len(self._stages_K) - 1)].copy()

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """Count one step."""
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """The steps counted."""
        return {"updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._updates = int(state["updates"])


def make_rule(settings: RuleSettings, tasks: list[str]) -> WeightRule:
    """Make the rule that these settings are for.

    Args:
        settings: one of the dataclasses of `settings.RULES`.
        tasks: names of the K tasks.

    Raises:
        SettingError: `initial` or `stages` does not fit the tasks.
    """
    num_tasks = len(tasks)
    if isinstance(settings, FixedSettings):
        return FixedWeights(as_vector(settings.initial_of(num_tasks)))
    if isinstance(settings, SequentialSettings):
        return SequentialWeights(num_tasks, settings.stages_of(tasks), settings.stage_steps)
    if isinstance(settings, CurriculumSettings):
        return SelfEvolvingWeights(num_tasks, settings.alpha, settings.temperature)
    if isinstance(settings, RegularizedSettings):
        return RegularizedWeights(num_tasks, settings.learning_rate, settings.eta)
    return ImprovementAwareWeights(
        num_tasks, settings.learning_rate, settings.weight_decay, settings.trade_off, settings.improvement_clip
    )
