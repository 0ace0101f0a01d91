"""Settings of what a rollout is judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mt_grpo_recipe.algorithm.settings.bounds import require


@dataclass
class RewardSettings:
    """How the number that a reward function returns becomes a rollout's accuracy, in training and at validation.

    The number is `acc` where the function returns one, else the score.
    """

    correct_at: float = 1.0
    """A rollout is right from this number on; its accuracy is 1, else 0."""
    range: list[float] | None = None
    """Worst and best number of rewards that know no right and wrong: the accuracy is the place between the two, in
    [0, 1]. None: rollouts are right or wrong."""

    def __post_init__(self) -> None:
        require(math.isfinite(self.correct_at), "correct_at", self.correct_at, "a finite number")
        if self.range is None:
            return
        valid = len(self.range) == 2 and all(map(math.isfinite, self.range)) and self.range[0] < self.range[1]
        require(valid, "range", self.range, "null or [worst, best], two finite numbers, the worst one first")
        require(
            self.correct_at == 1.0,
            "correct_at",
            self.correct_at,
            "left out with rewards.range, which knows no right and wrong",
        )
