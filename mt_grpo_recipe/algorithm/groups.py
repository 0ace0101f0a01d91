"""A group of rollouts on its way: launched, judged, chosen or left over.

A group is the n rollouts of one prompt, and belongs to one task. It has *spread* if its rewards differ; without spread
it has no gradient. It is *informative* if it may be trained on, *filtered* if not, whatever its spread.
Letters: G rollouts of a group, K tasks, B groups per batch, n_k quota, c_k informative groups.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mt_grpo_recipe.algorithm.arrays import BoolArray, FloatArray, IntArray
from mt_grpo_recipe.algorithm.objective import has_spread
from mt_grpo_recipe.algorithm.settings import SamplerSettings


class Outcome(IntEnum):
    """What came of a launched group. Zero stands for a group in flight."""

    INFORMATIVE = 1
    FILTERED = 2
    FAILED = 3


INFORMATIVE, FAILED = int(Outcome.INFORMATIVE), int(Outcome.FAILED)
"""For code that runs for every group: looking a member up in its enum costs as much as all the rest."""


class GroupResult(NamedTuple):
    """All that is kept of what came of a group."""

    outcome: Outcome
    accuracy: float
    """Mean accuracy of the rollouts, in [0, 1]: the share of right ones; 0 for a failed group."""
    spread: bool
    """The rewards are not all equal."""
    rollouts: int = 0
    """Rollouts generated; what a failed group cost is not known."""
    tokens: int = 0
    """Response tokens generated."""


FAILED_GROUP = GroupResult(Outcome.FAILED, 0.0, False)
"""Nothing is known of a group whose rollouts or rewards failed."""


class Group(NamedTuple):
    """A group that one step hands to the next."""

    task: int
    launched_in: int
    """The latest step that had begun: a group trained on in that step, before its update, has age 0."""
    result: GroupResult | None
    """None while it is in flight."""

    def state(self) -> list[Any]:
        """JSON-able form, from which `from_state` makes the group again."""
        return [self.task, self.launched_in, None if self.result is None else list(self.result)]

    @classmethod
    def from_state(cls, state: Sequence[Any]) -> Group:
        """The group whose `state` this is."""
        task, launched_in, result = state
        if result is not None:
            outcome, *rest = result
            result = GroupResult(Outcome(outcome), *rest)
        return cls(int(task), int(launched_in), result)


def judge(
    rewards_G: Sequence[float], accuracy_G: Sequence[float], settings: SamplerSettings, tokens: int = 0
) -> GroupResult:
    """Say what came of a finished group.

    Args:
        rewards_G: reward of each rollout, length G; if one is not finite, the group failed.
        accuracy_G: accuracy of each rollout, length G: 1 right, 0 wrong, or in between where rewards know neither; if
            one is not finite, the group failed.
        settings: `informative` and `drop_uninformative` are read.
        tokens: response tokens of all rollouts together.
    """
    if not len(rewards_G) or not (np.isfinite(rewards_G).all() and np.isfinite(accuracy_G).all()):
        return FAILED_GROUP
    return judge_finished(float(np.mean(accuracy_G)), has_spread(rewards_G), len(rewards_G), settings, tokens)


def judge_finished(accuracy: float, spread: bool, rollouts: int, settings: SamplerSettings, tokens: int) -> GroupResult:
    """Say what came of a group whose rewards and accuracies are all finite, from a summary of them.

    Args:
        accuracy: mean accuracy of the rollouts.
        spread: whether the rewards differ.
        rollouts: G.
        settings: `informative` and `drop_uninformative` are read.
        tokens: response tokens of all rollouts together.
    """
    informative = not settings.drop_uninformative or (0 < accuracy < 1 if settings.tests_right else spread)
    outcome = Outcome.INFORMATIVE if informative else Outcome.FILTERED
    return GroupResult(outcome, accuracy, spread, rollouts, tokens)


class GroupLedger:
    """Every group of one step, by launch id. `tell` only writes; counts are taken when asked for.

    Launch ids count from zero in the order of launch; the groups that earlier steps left come first.

    Args:
        num_tasks: K.
        carried: groups that earlier steps left, in order of launch.
        step: number of this step.
    """

    def __init__(self, num_tasks: int, carried: Sequence[Group] = (), step: int = 0):
        self.num_tasks = num_tasks
        self.task_of = array("q")
        self.outcome_of = bytearray()
        """An `Outcome` per group, 0 while it is in flight."""
        self.in_flight = 0
        self._accuracy_of = array("d")
        self._spread_of = bytearray()
        self._rollouts_of, self._tokens_of = array("q"), array("q")
        self.step = step
        self._carried = list(carried)
        self.launch([group.task for group in carried])
        for launch_id, group in enumerate(carried):
            if group.result is not None:
                self.tell(launch_id, group.result)

    def launch(self, tasks: Sequence[int]) -> None:
        """Book groups as launched, in this order."""
        size = len(tasks)
        self.task_of.extend(tasks)
        self.outcome_of.extend(bytes(size))
        self._accuracy_of.frombytes(bytes(8 * size))
        self._spread_of.extend(bytes(size))
        self._rollouts_of.frombytes(bytes(8 * size))
        self._tokens_of.frombytes(bytes(8 * size))
        self.in_flight += size

    def tell(self, launch_id: int, result: GroupResult) -> int:
        """Book what came of a group and return its task.

        Raises:
            ValueError: the group was never launched, or its result is known already.
        """
        if not 0 <= launch_id < len(self.outcome_of) or self.outcome_of[launch_id]:
            raise ValueError(f"group {launch_id} is not in flight ({len(self.outcome_of)} groups were launched)")
        (
            self.outcome_of[launch_id],
            self._accuracy_of[launch_id],
            self._spread_of[launch_id],
            self._rollouts_of[launch_id],
            self._tokens_of[launch_id],
        ) = result
        self.in_flight -= 1
        return self.task_of[launch_id]

    def group(self, launch_id: int) -> Group:
        """The group with this launch id."""
        outcome = self.outcome_of[launch_id]
        result = None
        if outcome:
            result = GroupResult(
                Outcome(outcome),
                self._accuracy_of[launch_id],
                bool(self._spread_of[launch_id]),
                self._rollouts_of[launch_id],
                self._tokens_of[launch_id],
            )
        return Group(self.task_of[launch_id], self.launched_in(launch_id), result)

    def tasks(self) -> IntArray:
        """Task of each group."""
        return np.array(self.task_of, dtype=np.int64)

    def outcomes(self) -> npt.NDArray[np.uint8]:
        """Outcome of each group; 0 while in flight."""
        return np.array(self.outcome_of, dtype=np.uint8)

    def spread(self) -> BoolArray:
        """Whether the rewards of each group differ; False while it is in flight."""
        return np.array(self._spread_of, dtype=np.bool_)

    def accuracies(self) -> FloatArray:
        """Mean accuracy of each group; 0 for those that failed or are in flight."""
        return np.array(self._accuracy_of)

    def fresh(self) -> BoolArray:
        """Whether each group was launched in this step."""
        return np.arange(len(self.task_of)) >= len(self._carried)

    def told_now(self) -> BoolArray:
        """Whether each group ended in this step: a group counts once, in the step in which it ends."""
        told = self.outcomes() > 0
        told[: len(self._carried)] &= np.array([group.result is None for group in self._carried], dtype=np.bool_)
        return told

    def count_K(self, groups: BoolArray | IntArray) -> IntArray:
        """Groups of each task among these, given as a mask or as launch ids, shape (K,)."""
        return np.bincount(self.tasks()[groups], minlength=self.num_tasks)

    def correct_K(self, groups: BoolArray) -> FloatArray:
        """Sum of the accuracies of these groups, shape (K,)."""
        return self._sum_K(self.accuracies(), groups)

    def squares_K(self, groups: BoolArray) -> FloatArray:
        """Sum of the squares of the accuracies of these groups, shape (K,)."""
        return self._sum_K(np.square(self._accuracy_of), groups)

    def rollouts_K(self, groups: BoolArray | IntArray) -> FloatArray:
        """Rollouts of these groups, shape (K,)."""
        return self._sum_K(np.array(self._rollouts_of), groups)

    def tokens_K(self, groups: BoolArray | IntArray) -> FloatArray:
        """Response tokens of these groups, shape (K,)."""
        return self._sum_K(np.array(self._tokens_of), groups)

    def launched_in(self, launch_id: int) -> int:
        """Step in, or for, which a group was launched."""
        return self._carried[launch_id].launched_in if launch_id < len(self._carried) else self.step

    def _sum_K(self, values: np.ndarray, groups: BoolArray | IntArray) -> FloatArray:
        sum_K = np.zeros(self.num_tasks)
        np.add.at(sum_K, self.tasks()[groups], values[groups])
        return sum_K
