"""Warnings, once per task, of rewards that do not fit the rule by which rollouts are judged and groups filtered."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from mt_grpo_recipe.algorithm.accuracy import off_scale
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.objective import has_spread
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig

logger = logging.getLogger(__name__)

STEPS = 3
"""Steps in a row without a kept group, or without a right rollout, after which a task is warned of."""
GRADED = (
    "If the rewards are graded, set mt_grpo.sampler.informative=spread, which trains on the difference, and "
    "mt_grpo.rewards.range=[worst,best], which makes J_k their mean; if a smaller number means right, set "
    "mt_grpo.rewards.correct_at to it."
)


class RewardWarnings:
    """Logs each warning once per task; a restarted run logs it again.

    Args:
        config: the sections `rewards` and `sampler` are read.
    """

    def __init__(self, config: MTGRPOConfig):
        self._config = config
        self._seen: dict[int, tuple[float, float]] = {}
        """Lowest and highest number that a task's rollouts were judged by."""
        self._said: set[tuple[str, int]] = set()

    def see(self, numbers_of: Mapping[int, Sequence[float]]) -> None:
        """Take in the finite numbers that rollouts were judged by, by task."""
        for task, numbers in numbers_of.items():
            low, high = self._seen.get(task, (numbers[0], numbers[0]))
            self._seen[task] = (min(low, *numbers), max(high, *numbers))

    def say(self, controller: TaskController) -> None:
        """Log what is new.

        Args:
            controller: has observed the step.
        """
        for task, name in enumerate(controller.tasks):
            for kind, sentence in (
                ("dropped", self._dropped(task, controller) or self._never_right(task, controller)),
                ("scale", self._off_scale(task)),
            ):
                if sentence and (kind, task) not in self._said:
                    self._said.add((kind, task))
                    logger.error("Task %r: %s", name, sentence)

    def _dropped(self, task: int, controller: TaskController) -> str | None:
        steps, spread = controller.streaks.dropped_K[task], controller.streaks.dropped_spread_K[task]
        if steps < STEPS or not spread or not self._config.sampler.tests_right:
            return None
        return (
            f"in each of the last {steps} steps the filter dropped every group that finished, {spread} of them "
            "although their rewards differ. mt_grpo.sampler.informative=mixed asks for right and wrong rollouts in one "
            f"group; {self._judged(task)} {GRADED} If the rewards differ in format alone, as 0.1 and 0 do, this is the "
            "filter of the paper's three-task experiment, and the task is too hard so far."
        )

    def _never_right(self, task: int, controller: TaskController) -> str | None:
        rewards, seen = self._config.rewards, self._seen.get(task)
        if controller.streaks.wrong_K[task] < STEPS or rewards.range is not None or seen is None:
            return None
        if seen[1] >= rewards.correct_at or not has_spread(seen):
            return None
        return (
            f"no rollout was right in the last {controller.streaks.wrong_K[task]} steps, so J_k is 0, although the "
            f"reward function tells rollouts apart: {self._judged(task)} {GRADED}"
        )

    def _judged(self, task: int) -> str:
        low, high = self._seen[task]
        correct_at = self._config.rewards.correct_at
        return (
            f"right is a number of mt_grpo.rewards.correct_at={correct_at:g} or more (`acc` where the reward function "
            f"returns it, else the score), and those returned so far go from {low:g} to {high:g}."
        )

    def _off_scale(self, task: int) -> str | None:
        rewards = self._config.rewards
        number = next((number for number in self._seen.get(task, ()) if off_scale(number, rewards)), None)
        if number is None:
            return None
        if rewards.range is not None:
            return (
                f"its reward function returned {number:g}, outside mt_grpo.rewards.range={list(rewards.range)}; such a "
                "number counts as the nearer end. Widen the range, or return `acc` within it."
            )
        return (
            f"its reward function returned {number:g}, and everything from mt_grpo.rewards.correct_at=1 on counts as "
            "right. On a larger scale, set mt_grpo.rewards.correct_at to the number that means right, or "
            "mt_grpo.rewards.range=[worst,best] with mt_grpo.sampler.informative=spread, or return `acc` between 0 "
            "and 1."
        )
