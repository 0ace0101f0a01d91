"""What the rule `targets` asks of each task, and which of it is met."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.arrays import BoolArray, FloatArray
from mt_grpo_recipe.algorithm.settings import TargetsSettings
from mt_grpo_recipe.algorithm.tracked_accuracy import AccuracyTracker

INTERVAL = 1.64
"""Standard errors between the mean and the lower end of its interval: a true value is above it 95 times in 100."""

WARM_UP_STEPS = 10
"""Steps after which the tracked accuracy counts as the one at the start, where no validation gave one."""


class Bound(IntEnum):
    """Kinds of constraints, in the order of the axis `_C`."""

    TARGET = 0
    FLOOR = 1
    TOLERANCE = 2


class Constraints:
    """Each task's target, floor, and largest distance below the average, as bounds that its accuracy should exceed.

    A constraint is met when the lower end of the interval of the tracked accuracy is above its bound. It stays met
    until the mean itself is below the bound, so that noise does not open and close it, or until less than one group's
    worth of evidence is left, so that a task that is not sampled is not believed forever. A floor is met at the start
    if the accuracy there is not below it.

    Args:
        settings: `targets`, `floors` and `tolerance` are read.
        tasks: names of the K tasks.

    Raises:
        SettingError: the settings name a task that is not among `tasks`.
    """

    def __init__(self, settings: TargetsSettings, tasks: Sequence[str]):
        bounds = settings.bounds_of(tasks)
        self._given_CK = [
            [settings.targets.get(task) for task in tasks],
            [settings.floors.get(task) for task in tasks],
            [settings.tolerance for _ in tasks],
        ]
        self._target_K = np.array([np.nan if b.target is None else b.target for b in bounds])
        self._floor_K = np.array([b.floor.value if b.floor and not b.floor.from_start else np.nan for b in bounds])
        self._may_lose_K = np.array([b.floor.value if b.floor and b.floor.from_start else np.nan for b in bounds])
        self._tolerance = settings.tolerance
        self._start_K = np.full(len(bounds), np.nan)
        self._met_CK = np.zeros((len(Bound), len(bounds)), dtype=bool)
        asked_K = ~np.isnan(self._floor_K) | ~np.isnan(self._may_lose_K)
        self.asked_CK: BoolArray = np.stack(
            [~np.isnan(self._target_K), asked_K, np.full(len(bounds), settings.tolerance is not None)]
        )
        """Which constraints there are, shape (C, K)."""

    @property
    def unmet_CK(self) -> BoolArray:
        """Which constraints are not met, shape (C, K)."""
        return self.asked_CK & ~self._met_CK

    @property
    def unmet_K(self) -> BoolArray:
        """Whether a constraint of the task is not met, shape (K,)."""
        return np.logical_or.reduce(self.unmet_CK)

    def start(self, accuracy_K: FloatArray) -> None:
        """Take accuracies at the start, for the tasks where they are not known yet.

        Args:
            accuracy_K: shape (K,); NaN for a task without one.
        """
        new_K = np.isnan(self._start_K) & ~np.isnan(accuracy_K)
        self._start_K = np.where(new_K, accuracy_K, self._start_K)
        holds_K = self._start_K >= np.fmax(self._floor_K, self._start_K - self._may_lose_K)
        self._met_CK[Bound.FLOOR] |= new_K & holds_K

    def bounds_CK(self, mean_K: FloatArray) -> FloatArray:
        """Accuracy that each task should exceed, shape (C, K); NaN where nothing is asked, or the start is not known.

        Args:
            mean_K: tracked accuracies, shape (K,); NaN for a task never seen.
        """
        tolerated_K = np.full(len(mean_K), np.nan)
        if self._tolerance is not None and not np.isnan(mean_K).all():
            tolerated_K[:] = np.nanmean(mean_K) - self._tolerance
        return np.stack([self._target_K, np.fmax(self._floor_K, self._start_K - self._may_lose_K), tolerated_K])

    def update(self, tracked: AccuracyTracker) -> None:
        """Update what is met."""
        if tracked.steps >= WARM_UP_STEPS:
            self.start(tracked.mean_K)
        mean_K, unseen_K = tracked.mean_K, ~tracked.seen_K
        bounds_CK = self.bounds_CK(mean_K)
        believed_K = (tracked.groups_K >= 1) | unseen_K
        surely_CK = mean_K - INTERVAL * tracked.error_K >= bounds_CK
        self._met_CK = believed_K & np.where(self._met_CK, (mean_K >= bounds_CK) | unseen_K, surely_CK)

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state."""
        start = [None if np.isnan(accuracy) else accuracy for accuracy in self._start_K.tolist()]
        return {"given": self._given_CK, "start": start, "met": self._met_CK.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> bool:
        """Restore what `state_dict` gave, and return whether the same was asked for; new constraints are not met."""
        same_CK = np.array(
            [[a == b for a, b in zip(*row, strict=True)] for row in zip(self._given_CK, state["given"], strict=True)]
        )
        self._start_K = np.asarray([np.nan if a is None else a for a in state["start"]], dtype=np.float64)
        self._met_CK = np.asarray(state["met"], dtype=bool) & same_CK
        return bool(same_CK.all())
