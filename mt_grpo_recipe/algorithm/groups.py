"""A group of rollouts on its way: launched, judged, chosen or left over.

A group is the n rollouts of one prompt, and belongs to one task. It is *informative* if it may be trained on, and
*carries a gradient* if its rewards differ as well; a group that is not informative is *filtered*. Letters: G rollouts
of a group, K tasks, B groups per batch, n_k quota, c_k informative groups.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.objective import has_spread
from mt_grpo_recipe.algorithm.settings import SamplerSettings

BoolArray = npt.NDArray[np.bool_]


class Outcome(IntEnum):
    """What came of a launched group. Zero stands for a group in flight."""

    INFORMATIVE = 1
    FILTERED = 2
    FAILED = 3


class GroupResult(NamedTuple):
    """What came of a group, whole."""

    outcome: Outcome
    accuracy: float
    """Share of right rollouts, in [0, 1]; 0 for a failed group."""
    carries_gradient: bool
    """Informative, and the rewards are not all equal."""


FAILED_GROUP = GroupResult(Outcome.FAILED, 0.0, False)
"""Of a group whose rollouts or rewards failed nothing is known."""


class Group(NamedTuple):
    """A group that one step hands to the next."""

    task: int
    launched_in: int
    """Step that it was launched in, or for."""
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
            outcome, accuracy, carries_gradient = result
            result = GroupResult(Outcome(outcome), float(accuracy), bool(carries_gradient))
        return cls(int(task), int(launched_in), result)


def judge(rewards_G: Sequence[float], correct_G: Sequence[bool], settings: SamplerSettings) -> GroupResult:
    """Say what came of a finished group.

    Args:
        rewards_G: reward of each rollout, length G; one that is not finite makes the group failed.
        correct_G: whether each rollout is right, length G.
        settings: `informative` and `drop_uninformative` are read.
    """
    if not len(rewards_G) or not np.isfinite(rewards_G).all():
        return FAILED_GROUP
    spread = has_spread(rewards_G)
    informative = any(correct_G) and not all(correct_G) if settings.informative == "mixed" else spread
    outcome = Outcome.INFORMATIVE if informative or not settings.drop_uninformative else Outcome.FILTERED
    return GroupResult(outcome, float(np.mean(correct_G)), spread and outcome is Outcome.INFORMATIVE)


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
        self._carries_gradient_of = bytearray()
        self._step = step
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
        self._carries_gradient_of.extend(bytes(size))
        self.in_flight += size

    def tell(self, launch_id: int, result: GroupResult) -> int:
        """Book what came of a group and return its task.

        Raises:
            ValueError: the group was never launched, or its result is known already.
        """
        if not 0 <= launch_id < len(self.outcome_of) or self.outcome_of[launch_id]:
            raise ValueError(f"group {launch_id} is not in flight ({len(self.outcome_of)} groups were launched)")
        self.outcome_of[launch_id], self._accuracy_of[launch_id], self._carries_gradient_of[launch_id] = result
        self.in_flight -= 1
        return self.task_of[launch_id]

    def group(self, launch_id: int) -> Group:
        """The group with this launch id."""
        outcome = self.outcome_of[launch_id]
        result = None
        if outcome:
            accuracy, carries_gradient = self._accuracy_of[launch_id], bool(self._carries_gradient_of[launch_id])
            result = GroupResult(Outcome(outcome), accuracy, carries_gradient)
        carried = launch_id < len(self._carried)
        launched_in = self._carried[launch_id].launched_in if carried else self._step
        return Group(self.task_of[launch_id], launched_in, result)

    def tasks(self) -> IntArray:
        """Task of each group."""
        return np.array(self.task_of, dtype=np.int64)

    def outcomes(self) -> npt.NDArray[np.uint8]:
        """Outcome of each group; 0 while in flight."""
        return np.array(self.outcome_of, dtype=np.uint8)

    def carry_gradient(self) -> BoolArray:
        """Whether each group carries a gradient."""
        return np.array(self._carries_gradient_of, dtype=np.bool_)

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
        sum_K = np.zeros(self.num_tasks)
        np.add.at(sum_K, self.tasks()[groups], np.array(self._accuracy_of)[groups])
        return sum_K


@dataclass(frozen=True)
class Selection:
    """What a step trains on, and what came of all that it generated. Counts are of this step, shape (K,)."""

    groups: GroupLedger
    """All groups of the step."""
    launch_ids: list[int]
    """Chosen groups in order of launch, at most B."""
    left: list[int]
    """Groups that a later step can use, in order of launch: in flight, or informative and not chosen."""
    quota_K: IntArray
    chosen_K: IntArray
    chosen_gradient_K: IntArray
    """Those of them that carry a gradient."""
    launched_K: IntArray
    finished_K: IntArray
    """Groups that ended in this step, those that failed left out."""
    filtered_K: IntArray
    zero_gradient_K: IntArray
    """Of those that finished, the groups without a gradient: filtered, or let through with equal rewards."""
    failed_K: IntArray
    correct_K: FloatArray
    """Sum over the groups that finished of their share of right rollouts; J_k is its mean."""
    rounds: int

    @property
    def shortfall_K(self) -> IntArray:
        """Groups that the batch lacks, max(n_k - chosen_k, 0), shape (K,)."""
        return np.maximum(self.quota_K - self.chosen_K, 0)

    def left_groups(self) -> list[Group]:
        """The groups of `left`, as the next step takes them."""
        return [self.groups.group(launch_id) for launch_id in self.left]


def select_groups(
    groups: GroupLedger, quota_K: IntArray, limit_K: IntArray | None, batch_size: int, rounds: int
) -> Selection:
    """Choose the batch from the informative groups of a step.

    Launch order says nothing about a group's answers, so a choice by it favours neither short nor easy ones.

    Args:
        groups: all groups of the step.
        quota_K: n, what the batch should hold of each task, shape (K,).
        limit_K: at most this many of each task unless B groups cannot be had otherwise, shape (K,); None: no limit.
        batch_size: B.
        rounds: rounds generated, for the record.
    """
    tasks, ids = groups.tasks(), np.flatnonzero(groups.outcomes() == Outcome.INFORMATIVE)
    if limit_K is not None:
        within = rank_in_task(tasks[ids], groups.num_tasks) < limit_K[tasks[ids]]
        ids = np.concatenate([ids[within], ids[~within]])
    return selection_of(groups, np.sort(ids[:batch_size]), quota_K, rounds)


def selection_of(groups: GroupLedger, chosen: IntArray, quota_K: IntArray, rounds: int) -> Selection:
    """The selection of these groups, with its counts.

    Args:
        groups: all groups of the step.
        chosen: launch ids in ascending order.
        quota_K: n, shape (K,).
        rounds: rounds generated.
    """
    outcomes = groups.outcomes()
    left = (outcomes == Outcome.INFORMATIVE) | (outcomes == 0)
    left[chosen] = False
    gradient, told = groups.carry_gradient(), groups.told_now()
    finished = told & (outcomes != Outcome.FAILED)
    return Selection(
        groups=groups,
        launch_ids=chosen.tolist(),
        left=np.flatnonzero(left).tolist(),
        quota_K=quota_K,
        chosen_K=groups.count_K(chosen),
        chosen_gradient_K=groups.count_K(chosen[gradient[chosen]]),
        launched_K=groups.count_K(groups.fresh()),
        finished_K=groups.count_K(finished),
        filtered_K=groups.count_K(told & (outcomes == Outcome.FILTERED)),
        zero_gradient_K=groups.count_K(finished & ~gradient),
        failed_K=groups.count_K(told & (outcomes == Outcome.FAILED)),
        correct_K=groups.correct_K(finished),
        rounds=rounds,
    )


def rank_in_task(tasks: IntArray, num_tasks: int) -> IntArray:
    """For each group, how many of the same task come before it."""
    order = np.argsort(tasks, kind="stable")
    count_K = np.bincount(tasks, minlength=num_tasks)
    starts_K = np.cumsum(count_K) - count_K
    rank = np.empty_like(tasks)
    rank[order] = np.arange(len(tasks)) - starts_K[tasks[order]]
    return rank
