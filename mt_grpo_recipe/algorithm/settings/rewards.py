"""Settings of how a rollout is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mt_grpo_recipe.algorithm.settings.bounds import SettingError, require


@dataclass
class RewardSettings:
    """How the number that a reward function returns becomes a rollout's accuracy, in training and at validation.

    The number is `acc` where the function returns one, else the score.
    """

    correct_at: float = 1.0
    """A rollout is right (accuracy 1) if its number is at least this, else wrong (accuracy 0). Leave it out with
    rewards.range."""
    range: list[float] | None = None
    """[worst, best], for rewards without right and wrong: the accuracy is the number's place between them, 0 to 1."""

    def __post_init__(self) -> None:
        require(math.isfinite(self.correct_at), "correct_at", self.correct_at, "a finite number")
        if self.range is None:
            return
        valid = len(self.range) == 2 and all(map(math.isfinite, self.range)) and self.range[0] < self.range[1]
        require(valid, "range", self.range, "null or [worst, best], two finite numbers, the worst one first")
        if self.correct_at != 1.0:
            raise SettingError(
                "correct_at",
                f"={self.correct_at!r} cannot be used with rewards.range, under which no rollout is right or wrong: "
                "leave one of the two out.",
            )
