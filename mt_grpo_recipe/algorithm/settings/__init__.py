"""Settings with their bounds: one dataclass per weight rule, one per sampling schedule.

Each holds only the fields that it reads. Defaults are those of arXiv 2602.05547, three-task experiment.
`mt_grpo_recipe.config` says how a training config names them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mt_grpo_recipe.algorithm.settings.bounds import SettingError, require, require_at_least, require_choice
from mt_grpo_recipe.algorithm.settings.rewards import RewardSettings
from mt_grpo_recipe.algorithm.settings.sampler import (
    SCHEDULES,
    BatchSettings,
    BudgetSettings,
    RoundsSettings,
    SamplerSettings,
    StreamingSettings,
)
from mt_grpo_recipe.algorithm.settings.weights import (
    RULES,
    CurriculumSettings,
    DumpSettings,
    FixedSettings,
    ImprovementAwareSettings,
    ProportionalSettings,
    RegularizedSettings,
    RobustSettings,
    RuleSettings,
    SequentialSettings,
    TargetsSettings,
)

__all__ = [
    "RULES",
    "SCHEDULES",
    "BatchSettings",
    "BudgetSettings",
    "CurriculumSettings",
    "DumpSettings",
    "FixedSettings",
    "GeneralSettings",
    "ImprovementAwareSettings",
    "ImprovementSettings",
    "MTGRPOConfig",
    "ProportionalSettings",
    "RegularizedSettings",
    "RewardSettings",
    "RobustSettings",
    "RoundsSettings",
    "RuleSettings",
    "SamplerSettings",
    "SequentialSettings",
    "SettingError",
    "StreamingSettings",
    "TargetsSettings",
]


@dataclass
class ImprovementSettings:
    """How I_k is measured."""

    granularity: str = "step"
    """When I_k is measured. step: after the policy update; mini_batch: after each mini-batch; off: never (I_k = 0)."""
    reduction: str = "mean"
    """How a task's samples are combined: their mean, or their sum as in the authors' released code."""
    probe_fraction: float = 1.0
    """Share of each task's samples that I_k is measured on, drawn anew each step; 1 takes all."""

    def __post_init__(self) -> None:
        require_choice("granularity", self.granularity, ("step", "mini_batch", "off"))
        require_choice("reduction", self.reduction, ("mean", "sum"))
        require(0 < self.probe_fraction <= 1, "probe_fraction", self.probe_fraction, "above 0, at most 1")
        require(
            self.probe_fraction == 1 or self.reduction == "mean",
            "probe_fraction",
            self.probe_fraction,
            "1 with improvement.reduction=sum (a part of the samples has a smaller sum)",
        )


@dataclass
class GeneralSettings:
    """Settings that belong to no section."""

    task_key: list[str] = field(default_factory=lambda: ["extra_info.task"])
    """Fields that name a row's task, joined with "-"."""
    tasks: list[str] | None = None
    """Tasks to train, in this order. Unless set: every task of the data, in order of first appearance."""
    seed: int = 0
    """Seed of the quotas, the launch order, the order of the prompts, and the rows that `data.*_max_samples` keep."""
    loss_weighting: str = "none"
    """Weight of a task in the loss. none: 1; residual: its quota share over its batch share; task: K z_k (Eq. 6), with
    z left out of the sampling."""
    max_loss_weight: float = 5.0
    """Largest residual weight."""

    def __post_init__(self) -> None:
        require(len(self.task_key) > 0, "task_key", self.task_key, "a list of at least one field")
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        require_choice("loss_weighting", self.loss_weighting, ("none", "residual", "task"))
        require_at_least("max_loss_weight", self.max_loss_weight, 1)
        if self.tasks is not None:
            distinct = len(self.tasks) > 0 and len(set(self.tasks)) == len(self.tasks)
            require(distinct, "tasks", self.tasks, "null or a list of distinct task names")


@dataclass
class MTGRPOConfig(GeneralSettings):
    """Everything in the config section `mt_grpo`."""

    weights: RuleSettings = field(default_factory=ImprovementAwareSettings)
    improvement: ImprovementSettings = field(default_factory=ImprovementSettings)
    sampler: SamplerSettings = field(default_factory=RoundsSettings)
    rewards: RewardSettings = field(default_factory=RewardSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tasks is not None:
            self._check_tasks(self.tasks)
        rule, granularity = self.weights.rule, self.improvement.granularity
        require(
            not (self.weights.reads_improvement and granularity == "off"),
            "improvement.granularity",
            "off",
            f"step or mini_batch with weights.rule={rule}, which reads the improvement",
        )
        require(
            not (self.weights.once_per_step and granularity == "mini_batch"),
            "improvement.granularity",
            "mini_batch",
            f"step with weights.rule={rule}, which moves once per step, or not at all",
        )
        require(
            not (self.loss_weighting == "task" and self.sampler.ratio),
            "loss_weighting",
            "task",
            "none or residual with sampler.ratio=true (the batch already holds the shares z)",
        )
        require(
            not (self.rewards.range is not None and self.sampler.tests_right),
            "sampler.informative",
            "mixed",
            "spread with rewards.range, under which no rollout is right or wrong",
        )

    def _check_tasks(self, tasks: list[str]) -> None:
        """Check the rule's settings that name or count tasks against the tasks that are named."""
        self.weights.check_min_share(len(tasks))
        if isinstance(self.weights, FixedSettings):
            self.weights.initial_of(len(tasks))
        if isinstance(self.weights, TargetsSettings):
            self.weights.bounds_of(tasks)
