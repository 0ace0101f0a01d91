"""Settings of the rules that move the weights, one dataclass per rule; `targets` has a file of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, get_args

from mt_grpo_recipe.algorithm.settings.bounds import (
    SettingError,
    require,
    require_at_least,
    require_decay,
    require_positive,
)
from mt_grpo_recipe.algorithm.settings.rule import AveragedAccuracySettings, CommonRuleSettings
from mt_grpo_recipe.algorithm.settings.targets import TargetsSettings


@dataclass
class FixedSettings(CommonRuleSettings):
    """Rule `fixed`: the weights never move."""

    rule: ClassVar[str] = "fixed"
    once_per_step: ClassVar[bool] = True

    initial: list[float] | None = None
    """z, one number per task, in the order of mt_grpo.tasks; normalised. Unless set: uniform."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial is not None:
            valid = all(math.isfinite(w) and w >= 0 for w in self.initial) and sum(self.initial) > 0
            require(valid, "initial", self.initial, "a list of numbers, none negative, not all zero")

    def initial_of(self, num_tasks: int) -> list[float]:
        """z before it is normalised, one number per task.

        Raises:
            SettingError: `initial` has the wrong number of entries.
        """
        initial = [1.0] * num_tasks if self.initial is None else self.initial
        if len(initial) != num_tasks:
            raise SettingError(
                "weights.initial",
                f" has {len(initial)} numbers for {num_tasks} tasks: give one per task, in the order of mt_grpo.tasks.",
            )
        return initial


@dataclass
class _AdamWSettings(AveragedAccuracySettings):
    learning_rate: float = 0.025
    """beta: step size of AdamW on the logits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("learning_rate", self.learning_rate)


@dataclass
class ImprovementAwareSettings(_AdamWSettings):
    """Rule `improvement_aware`: Subroutine 1 of MT-GRPO, from improvement and accuracy."""

    rule: ClassVar[str] = "improvement_aware"
    reads_improvement: ClassVar[bool] = True

    weight_decay: float = 1e-5
    """AdamW's decay of the logits."""
    trade_off: float = 0.2
    """lambda: weight of J_k beside I_k. Larger values favour the weakest task, smaller ones the one that stalls."""
    improvement_clip: float = 0.1
    """c: I_k is clipped to [-c, c]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("weight_decay", self.weight_decay, 0)
        require(
            self.trade_off >= 0 and math.isfinite(self.trade_off),
            "trade_off",
            self.trade_off,
            "0 or more (it is the paper's lambda; 0.2 and 0.25 were used with three tasks)",
        )
        require_positive("improvement_clip", self.improvement_clip)


@dataclass
class RegularizedSettings(_AdamWSettings):
    """Rule `regularized`: Subroutine 2, from accuracy alone, pulled toward uniform (the paper's ablation)."""

    rule: ClassVar[str] = "regularized"

    eta: float = 1e-2
    """eta: pull toward uniform weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("eta", self.eta, 0)


@dataclass
class CurriculumSettings(CommonRuleSettings):
    """Rule `sec`: self-evolving curriculum (arXiv 2505.14970)."""

    rule: ClassVar[str] = "sec"
    reads_advantage: ClassVar[bool] = True
    once_per_step: ClassVar[bool] = True

    alpha: float = 0.5
    """alpha: weight of the newest value in the moving average Q."""
    temperature: float = 0.2
    """tau: temperature of the softmax over Q."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.alpha <= 1, "alpha", self.alpha, "above 0, at most 1")
        require_positive("temperature", self.temperature)


@dataclass
class SequentialSettings(CommonRuleSettings):
    """Rule `sequential`: one stage of tasks after another."""

    rule: ClassVar[str] = "sequential"
    once_per_step: ClassVar[bool] = True

    stages: list[list[str]] = field(default_factory=list)
    """The tasks of each stage; required."""
    stage_steps: int = 240
    """Steps per stage."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given = bool(self.stages) and all(self.stages)
        require(given, "stages", self.stages, "a list of lists of task names, such as [[a],[b,c]]")
        require_at_least("stage_steps", self.stage_steps, 1)

    def stages_of(self, tasks: Sequence[str]) -> list[list[int]]:
        """Task numbers of each stage.

        Raises:
            SettingError: a stage names a task that is not among `tasks`, or one twice.
        """
        unknown = sorted({task for stage in self.stages for task in stage} - set(tasks))
        if unknown:
            raise SettingError("weights.stages", f" names {unknown}; the tasks of this run are {list(tasks)}.")
        if twice := sorted({task for stage in self.stages for task in stage if stage.count(task) > 1}):
            raise SettingError("weights.stages", f" names {twice} twice in one stage; name each task of a stage once.")
        return [[tasks.index(task) for task in stage] for stage in self.stages]


@dataclass
class ProportionalSettings(CommonRuleSettings):
    """Rule `proportional`: each task weighs its share of the data rows, as where verl trains on joined files."""

    rule: ClassVar[str] = "proportional"
    once_per_step: ClassVar[bool] = True


@dataclass
class DumpSettings(CommonRuleSettings):
    """Rule `dump`: a bandit on the mean absolute advantage (arXiv 2504.09710)."""

    rule: ClassVar[str] = "dump"
    reads_advantage: ClassVar[bool] = True
    once_per_step: ClassVar[bool] = True

    temperature: float = 0.1
    """tau: temperature of the softmax over the upper confidence bounds."""
    window: int = 300
    """How many of a task's latest rollouts its mean covers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("temperature", self.temperature)
        require_at_least("window", self.window, 1)


@dataclass
class RobustSettings(CommonRuleSettings):
    """Rule `gdro`: multiplicative weights on averaged losses (arXiv 2601.19280)."""

    rule: ClassVar[str] = "gdro"
    once_per_step: ClassVar[bool] = True

    sharpness: float = 0.65
    """eta_q: factor of the average losses in the softmax."""
    loss_decay: float = 0.88
    """Weight of the past in the average losses: 1 - beta of Eq. 12."""
    exploration: float = 0.01
    """gamma: share of the weights that is spread evenly."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("sharpness", self.sharpness)
        require_decay("loss_decay", self.loss_decay)
        require(0 <= self.exploration <= 1, "exploration", self.exploration, "in [0, 1]")


RuleSettings = (
    FixedSettings
    | ImprovementAwareSettings
    | RegularizedSettings
    | CurriculumSettings
    | SequentialSettings
    | ProportionalSettings
    | TargetsSettings
    | DumpSettings
    | RobustSettings
)
RULES: dict[str, type[RuleSettings]] = {settings.rule: settings for settings in get_args(RuleSettings)}
