"""What the settings of all rules of the weights share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mt_grpo_recipe.algorithm.settings.bounds import require, require_decay


@dataclass
class CommonRuleSettings:
    """What all rules share."""

    reads_improvement: ClassVar[bool] = False
    """Whether it learns from I_k, which only then is measured."""
    reads_advantage: ClassVar[bool] = False
    """Whether it learns from the mean absolute advantage."""
    once_per_step: ClassVar[bool] = False
    """Whether a second update of z within a step would be wrong, or change nothing; improvement.granularity=mini_batch,
    which makes one after each mini-batch, is then refused."""
    accuracy_decay: ClassVar[float] = 0.0
    """Weight of the past in the moving average of J_k, which `AveragedAccuracySettings` makes a setting."""

    min_share: float = field(default=0.0, kw_only=True)
    """Least weight of a task: the z of the rule becomes min_share + (1 - K min_share) z."""

    def __post_init__(self) -> None:
        require(0 <= self.min_share <= 1, "min_share", self.min_share, "in [0, 1/K] with K tasks")

    def check_min_share(self, num_tasks: int) -> None:
        """Check `min_share` against the number of tasks.

        Raises:
            SettingError: the least shares of all tasks add up to more than the batch.
        """
        allowed = f"at most 1/{num_tasks} with {num_tasks} tasks (0 leaves the weights to the rule alone)"
        require(self.min_share * num_tasks <= 1, "weights.min_share", self.min_share, allowed)


@dataclass
class AveragedAccuracySettings(CommonRuleSettings):
    """For rules whose `update` reads a moving average of J_k, which the controller keeps."""

    accuracy_decay: float = 0.0
    """Weight of the past in the moving average of J_k; 0 takes the step's accuracy alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_decay("accuracy_decay", self.accuracy_decay)
