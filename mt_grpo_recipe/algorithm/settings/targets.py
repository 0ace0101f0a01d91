"""Settings of the rule `targets`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from mt_grpo_recipe.algorithm.settings.bounds import SettingError, require, require_at_least, require_positive
from mt_grpo_recipe.algorithm.settings.rule import CommonRuleSettings

FROM_START = re.compile(r"\s*start\s*(?:-\s*(\d*\.?\d+)\s*)?")
FLOOR_FORMS = 'an accuracy in [0, 1], or "start" or "start - 0.02" for the accuracy at the start less 2 points'


class Floor(NamedTuple):
    """An accuracy that a task must keep."""

    value: float
    """The accuracy, or how much of its accuracy at the start the task may lose."""
    from_start: bool

    @classmethod
    def read(cls, task: str, given: Any) -> Floor:
        """Read a floor as it is written.

        Raises:
            SettingError: it is neither an accuracy nor counted from the start.
        """
        match = FROM_START.fullmatch(given) if isinstance(given, str) else None
        number = (match[1] or 0) if match else given
        try:
            value = math.nan if isinstance(number, bool) else float(number)
        except (TypeError, ValueError):
            value = math.nan
        require(0 <= value <= 1, f"floors[{task}]", given, FLOOR_FORMS)
        return cls(value, match is not None)


class TaskBounds(NamedTuple):
    """What is asked of one task; None where nothing is."""

    target: float | None
    floor: Floor | None


@dataclass
class TargetsSettings(CommonRuleSettings):
    """Rule `targets`: accuracies to reach and to keep.

    Accuracies are those of the training rollouts, averaged over steps.
    """

    rule: ClassVar[str] = "targets"
    once_per_step: ClassVar[bool] = True

    targets: dict[str, float] = field(default_factory=dict)
    """Task -> accuracy to reach."""
    floors: dict[str, Any] = field(default_factory=dict)
    """Task -> accuracy to keep: a number in [0, 1], "start", or "start - 0.02" for 2 points less than at the start."""
    tolerance: float | None = None
    """How far a task may be below the average of all tasks. Unless set: any distance."""
    integral_gain: float = 0.1
    """K_I: integral gain of the controller, per step and unit of accuracy below the bound."""
    proportional_gain: float = 5.0
    """K_P: proportional gain of the controller, per unit of accuracy below the bound."""
    patience: int = 50
    """Steps without progress after which a task counts as out of reach."""
    stop_when_met: bool = False
    """End the run, with a checkpoint, once every bound is met."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given = bool(self.targets) or bool(self.floors) or self.tolerance is not None
        require(given, "targets", self.targets, "a dict {task: accuracy}, unless floors or tolerance are given")
        for task, target in self.targets.items():
            require(0 < target <= 1, f"targets[{task}]", target, "an accuracy above 0, at most 1")
        for task, floor in self.floors.items():
            Floor.read(task, floor)
        if self.tolerance is not None:
            require(0 <= self.tolerance <= 1, "tolerance", self.tolerance, "a difference of accuracies, in [0, 1]")
        to_be_reached = bool(self.targets) or self.tolerance is not None
        require(
            to_be_reached or not self.stop_when_met,
            "stop_when_met",
            self.stop_when_met,
            "false without targets or tolerance (floors alone are met at the start)",
        )
        require_positive("integral_gain", self.integral_gain)
        require_at_least("proportional_gain", self.proportional_gain, 0)
        require_at_least("patience", self.patience, 1)

    def bounds_of(self, tasks: Sequence[str]) -> list[TaskBounds]:
        """What is asked of each task.

        Raises:
            SettingError: `targets` or `floors` names a task that is not among `tasks`.
        """
        for name, named in (("targets", self.targets), ("floors", self.floors)):
            if unknown := sorted(named.keys() - set(tasks)):
                raise SettingError(f"weights.{name}", f" names {unknown}; the tasks of this run are {list(tasks)}.")
        floors = {task: Floor.read(task, given) for task, given in self.floors.items()}
        return [TaskBounds(self.targets.get(task), floors.get(task)) for task in tasks]
