"""Rule `targets`: dual ascent on accuracies to reach and to keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mt_grpo_recipe import metrics
from mt_grpo_recipe.algorithm.arrays import BoolArray, FloatArray
from mt_grpo_recipe.algorithm.settings import TargetsSettings
from mt_grpo_recipe.algorithm.task_weights.base import WeightRule
from mt_grpo_recipe.algorithm.task_weights.constraints import Bound, Constraints
from mt_grpo_recipe.algorithm.task_weights.progress import ProgressWatch
from mt_grpo_recipe.algorithm.tracked_accuracy import AccuracyTracker

INTEGRAL_LIMIT = 2.0
"""Most that the shortfalls of the past add to a pressure, so that they do not outweigh those of today."""


def pressed_weights(pressure_K: FloatArray, even_K: BoolArray) -> FloatArray:
    """z = (u + y) / (1 + sum y), shape (K,): weights of the Lagrangian sum_k u_k J_k + y_k (J_k - b_k), normalised.

    Args:
        pressure_K: y, multipliers of the constraints J_k >= b_k, shape (K,), none negative.
        even_K: tasks among which u is even, shape (K,).
    """
    return (even_K / even_K.sum() + pressure_K) / (1 + pressure_K.sum())


class TargetWeights(WeightRule):
    """Weight goes where a constraint is not met, by how much its task is short; what is left is even among those tasks.

    A task is open if one of its constraints is not met and it is not out of reach. If it is short by e of its highest
    bound, the pressure on it is a PI controller's (Stooke et al. 2020, arXiv 2007.03964, without the derivative):

        I <- clip(I + K_I e, 0, limit),    y = max(K_P e + I, 0).

    The integral alone is dual ascent on the multiplier of J >= b; the proportional part damps its swing. Other tasks
    have y = 0 and I = 0. One that is out of reach keeps its even share: it may be slow and no more, which shows only
    while it is trained. One that has met what is asked of it has `min_share`. Once no task is open all share evenly, so
    that what cannot be reached does not take the whole batch. Where the tolerance is the bound, y is the lambda of
    arXiv 2602.05547 that keeps the worst task so near to the average.

    Args:
        settings: of the rule.
        tasks: names of the K tasks.
        tracked: their accuracies; the controller updates it.

    Raises:
        SettingError: the settings name a task that is not among `tasks`.
    """

    def __init__(self, settings: TargetsSettings, tasks: Sequence[str], tracked: AccuracyTracker):
        self._settings = settings
        self._tasks = list(tasks)
        self._tracked = tracked
        self._constraints = Constraints(settings, tasks)
        self._watch = ProgressWatch(len(tasks), settings.patience)
        self._integral_K = np.zeros(len(tasks))
        self._weights_K = np.full(len(tasks), 1 / len(tasks))
        self._all_met = False
        self._notices: list[str] = []

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,)."""
        return self._weights_K.copy()

    @property
    def finished(self) -> bool:
        """Whether all was met at one time and `stop_when_met` is on."""
        return self._settings.stop_when_met and self._all_met

    @property
    def notices(self) -> list[str]:
        """Which tasks were found out of reach in the latest update, and which no longer are."""
        return list(self._notices)

    def start(self, accuracy_K: FloatArray) -> None:
        """Take the accuracies that floors count from."""
        self._constraints.start(accuracy_K)

    @property
    def _short_K(self) -> FloatArray:
        """What each task is short of the highest of its bounds, shape (K,); NaN where it has none or was never seen."""
        mean_K = self._tracked.mean_K
        return np.fmax.reduce(self._constraints.bounds_CK(mean_K) - mean_K)

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """One step of the dual ascent, on the tracked accuracies."""
        measured_K = ~np.isnan(accuracy_K)
        before_K = self._watch.out_of_reach_K
        self._see_what_is_met()
        short_K, unmet_K = self._short_K, self._constraints.unmet_K
        trained_K = measured_K & (self._weights_K >= 0.5 / len(self._tasks))
        self._watch.update(self._tracked, short_K, unmet_K, trained_K)
        open_K = unmet_K & ~self._watch.out_of_reach_K
        error_K = np.nan_to_num(short_K)
        moved_K = np.clip(self._integral_K + self._settings.integral_gain * error_K, 0.0, INTEGRAL_LIMIT)
        self._integral_K = np.where(open_K, np.where(measured_K, moved_K, self._integral_K), 0.0)
        pressure_K = np.maximum(self._settings.proportional_gain * error_K + self._integral_K, 0.0)
        even_K = unmet_K if open_K.any() else np.ones_like(unmet_K)
        self._weights_K = pressed_weights(np.where(open_K, pressure_K, 0.0), even_K)
        self._notices = self._changes(before_K)

    def skip(self) -> None:
        """Nothing was trained on, perhaps because every answer is right: all may be met, and z stays."""
        self._see_what_is_met()
        self._notices = []

    def _see_what_is_met(self) -> None:
        self._constraints.update(self._tracked)
        self._all_met |= not self._constraints.unmet_K.any()

    def _changes(self, before_K: BoolArray) -> list[str]:
        """A sentence per task that the latest update found out of reach, or no longer."""
        now_K = self._watch.out_of_reach_K
        return [
            self._out_of_reach(task) if now_K[task] else f"Task {self._tasks[task]!r} is no longer out of reach."
            for task in np.flatnonzero(now_K != before_K).tolist()
        ]

    def _out_of_reach(self, task: int) -> str:
        """Which bound of a task is out of reach, by how much, and since when."""
        mean_K, error_K = self._tracked.mean_K, self._tracked.error_K
        bounds_C = np.where(self._constraints.unmet_CK[:, task], self._constraints.bounds_CK(mean_K)[:, task], -np.inf)
        bound, mean = bounds_C.max(), mean_K[task]
        name = {
            Bound.TARGET: f"target {bound:.3f}",
            Bound.FLOOR: f"floor {bound:.3f}",
            Bound.TOLERANCE: f"bound {bound:.3f} (the average less the tolerance of {self._settings.tolerance})",
        }[Bound(int(bounds_C.argmax()))]
        return (
            f"Task {self._tasks[task]!r} has made no progress toward its {name} since step "
            f"{self._watch.since_K[task]}: its accuracy is {mean:.3f} +- {error_K[task]:.3f}, {bound - mean:.3f} "
            "short. Until it makes some, it gets an even share of the batch at most. Lower the bound, or raise "
            "mt_grpo.weights.patience."
        )

    def readings(self) -> dict[metrics.Metric, FloatArray]:
        """What each task is short of, whether that is not met, and whether it is out of reach."""
        asked_K = self._constraints.asked_CK.any(axis=0)
        unmet_K = self._constraints.unmet_K
        return {
            metrics.SHORT_OF: self._short_K,
            metrics.UNMET: np.where(asked_K, unmet_K, np.nan),
            metrics.OUT_OF_REACH: np.where(asked_K, self._watch.out_of_reach_K, np.nan),
        }

    def state_dict(self) -> dict[str, Any]:
        """Weights, integrals, what is met and what is out of reach."""
        return {
            "weights": self._weights_K.tolist(),
            "all_met": self._all_met,
            "integral": self._integral_K.tolist(),
            "constraints": self._constraints.state_dict(),
            "progress": self._watch.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._weights_K = np.asarray(state["weights"], dtype=np.float64)
        self._integral_K = np.asarray(state["integral"], dtype=np.float64)
        same = self._constraints.load_state_dict(state["constraints"])
        self._all_met = state["all_met"] and same
        self._watch.load_state_dict(state["progress"])
