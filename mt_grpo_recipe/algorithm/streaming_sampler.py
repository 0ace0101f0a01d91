"""The ratio-preserving sampler without rounds: every finished group may call for its replacement at once.

Algorithm 2 (arXiv 2602.05547) waits for the slowest group of a round before it asks for more, and asks for a whole
round again. Here the driver asks after each poll, and gets as many groups as are expected to be still missing:

    target_k = def_k / a_k + safety * sqrt(def_k (1 - a_k)) / a_k,      launch ceil(target_k) - in flight_k,

where def_k groups are missing and a_k is the estimated share of groups that carry a gradient. The number of tries that
def_k successes take is negative binomial with that mean and that standard deviation, so `safety` counts deviations.

Groups are considered in order of launch, never of finishing: taking whichever group ends first would prefer short
answers. A quota is met only when every group launched before the last one it takes has ended too.

Where rollouts go on while the policy is trained, a step begins with the groups that earlier steps left: those in
flight, and those that ended, carry a gradient and were not chosen. They keep their place in the order of launch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.ratio_sampler import (
    GroupLedger,
    Outcome,
    Selection,
    draw_quotas,
    select_groups,
)
from mt_grpo_recipe.config.schema import SamplerConfig

MAX_PRIOR_GROUPS = 128.0
"""Earlier steps weigh at most as much as this many groups of the running step, so that a change shows within it."""

KEPT, FAILED = int(Outcome.INFORMATIVE), int(Outcome.FAILED)
"""Looking a member up in its enum costs as much as the rest of `tell`, which runs for every group."""


class Carried(NamedTuple):
    """A group that an earlier step launched and left to this one."""

    task: int
    kept: bool
    """It ended in an earlier step and carries a gradient; False: it was in flight when that step was over."""


class _Lane:
    """Groups that compete for the same places of the batch: those of one task, or all where no ratio is kept.

    Args:
        places: groups the batch wants from this lane.
        inflate: launch more than are missing, as the filter will take some.
        prior_kept: informative groups of earlier steps, weighted.
        prior_seen: all finished groups of earlier steps, weighted alike.
    """

    __slots__ = (
        "carried", "ended", "failed", "head", "inflate", "kept", "launch_ids", "places", "prior_kept", "prior_seen",
        "settled",
    )  # fmt: skip

    def __init__(self, places: int, inflate: bool, prior_kept: float, prior_seen: float):
        self.places = places
        self.inflate = inflate
        discount = min(1.0, MAX_PRIOR_GROUPS / prior_seen) if prior_seen else 0.0
        self.prior_kept = discount * prior_kept
        self.prior_seen = discount * prior_seen
        self.launch_ids: list[int] = []
        self.ended = 0
        self.kept = 0
        self.carried = 0
        """Of those kept, the ones that ended in an earlier step: they are no evidence, their failures are not here."""
        self.failed = 0
        self.head = 0
        """Position in `launch_ids` of the first group that has not ended."""
        self.settled = 0
        """Informative groups before `head`."""

    @property
    def met(self) -> bool:
        """The places are taken by groups that nothing launched earlier can displace."""
        return self.settled >= self.places

    @property
    def tries(self) -> float:
        """1 / a_k: groups to generate for one that is kept, by the estimate of earlier steps and this one; above 1."""
        # Half a success and half a failure: no estimate of zero or one, and an even guess where nothing is known yet.
        seen, kept = self.ended - self.failed - self.carried, self.kept - self.carried
        return (self.prior_seen + seen + 1) / (self.prior_kept + kept + 0.5)

    def settle(self, outcome_of: bytearray) -> None:
        """Move `head` past the groups that have ended; `outcome_of` is the ledger's."""
        ids, head, size = self.launch_ids, self.head, len(self.launch_ids)
        while head < size and (outcome := outcome_of[ids[head]]):
            if outcome == KEPT:
                self.settled += 1
            head += 1
        self.head = head

    def shortage(self, safety: float, budget_left: int) -> int:
        """Groups to launch now, beyond those in flight."""
        missing = self.places - self.kept
        if missing <= 0:
            return 0
        target: float = missing
        if self.inflate:
            tries = self.tries
            target = missing * tries
            if safety:
                target += safety * math.sqrt(target * (tries - 1))
        in_flight = len(self.launch_ids) - self.ended
        lacking = math.ceil(target) - in_flight
        # A hopeless lane would eat the budget. With none of t groups kept, an acceptance above 4 / t is all but ruled
        # out (e^-4): where even that could not bring what is missing, give up. Any signal puts this off by far, since
        # part of a quota is worth having.
        tried, kept = self.ended - self.carried, self.kept - self.carried
        if lacking <= 0 or missing * tried > (4 + 16 * kept) * (budget_left + in_flight):
            return 0
        return lacking


class StreamingSampler:
    """One step of the streaming sampler; driven like `RoundsSampler`.

    Args:
        weights_K: z of this step, shape (K,).
        tracker: rho; updated once, by `select`.
        config: `max_inflight` bounds the groups in flight, `budget` those launched in all.
        batch_size: B.
        rng: seeded source of every draw.
        carried: groups that earlier steps left to this one, in order of launch: they have the first launch ids, and
            neither take from the budget nor from the bound of groups in flight. None: no step leaves anything.
    """

    def __init__(
        self,
        weights_K: FloatArray,
        tracker: AcceptanceTracker,
        config: SamplerConfig,
        batch_size: int,
        rng: np.random.Generator,
        carried: Sequence[Carried] | None = None,
    ):
        self._weights_K = weights_K / weights_K.sum()
        self._tracker = tracker
        self._config = config
        self._batch_size = batch_size
        self._rng = rng
        self.quota_K = draw_quotas(weights_K, batch_size, config.quota, rng)
        self._groups = GroupLedger(len(weights_K))
        self._budget = config.budget(batch_size)
        self._max_in_flight = math.ceil(config.max_inflight * batch_size)
        seen_K = tracker.recent_finished_K
        kept_K = seen_K - tracker.recent_filtered_K
        inflate = config.inflate and config.filter != "off"
        self._by_task = config.ratio or config.filter == "off"
        if self._by_task:
            by_task = zip(self.quota_K.tolist(), kept_K.tolist(), seen_K.tolist(), strict=True)
            self._lanes = [_Lane(places, inflate, kept, seen) for places, kept, seen in by_task]
        else:
            self._lanes = [_Lane(batch_size, inflate, float(kept_K.sum()), float(seen_K.sum()))]
        self._touched: set[int] = set()
        self._refills = 0
        self._taught = False
        self._carries_over = carried is not None
        self._carried_K = np.zeros_like(self.quota_K)
        self._carried_kept_K = np.zeros_like(self.quota_K)
        if carried:
            self._adopt(carried)
        self._open = sum(not lane.met for lane in self._lanes)

    def _adopt(self, carried: Sequence[Carried]) -> None:
        """Book the groups that earlier steps left."""
        self._groups.launch([group.task for group in carried])
        for launch_id, group in enumerate(carried):
            lane = self._lanes[group.task if self._by_task else 0]
            lane.launch_ids.append(launch_id)
            self._carried_K[group.task] += 1
            if group.kept:
                self._carried_kept_K[group.task] += 1
                self._groups.tell(launch_id, Outcome.INFORMATIVE)
                lane.ended += 1
                lane.kept += 1
                lane.carried += 1
        for lane in self._lanes:
            lane.settle(self._groups.outcome_of)
        self._budget += len(carried)
        self._max_in_flight += self.in_flight
        # Any of them may lack groups although something is in flight.
        self._touched = set(range(len(self._lanes)))

    @property
    def in_flight(self) -> int:
        """Groups launched of which nothing was told yet."""
        return self._groups.in_flight

    @property
    def done(self) -> bool:
        """The batch is settled, though surplus groups may be in flight; or nothing is, and no more may be launched."""
        if not self._open:
            return True
        return not self.in_flight and not any(self._shortages(self._lanes_to_ask()))

    def _lanes_to_ask(self) -> Sequence[int]:
        """Lanes that may lack groups: those that lost one to the filter since they last lacked none.

        A group that is kept lowers the target by more than the one that it takes out of flight. It may also call back a
        lane that was given up, which the look at all lanes finds once nothing is in flight.
        """
        return sorted(self._touched) if self.in_flight else range(len(self._lanes))

    def _shortages(self, lanes: Sequence[int]) -> list[int]:
        """Groups that each of these lanes lacks."""
        budget_left = self._budget - len(self._groups.task_of)
        if budget_left <= 0:
            return [0] * len(lanes)
        return [self._lanes[lane].shortage(self._config.safety_margin, budget_left) for lane in lanes]

    def ask(self) -> list[int]:
        """Tasks of the groups to launch now, in launch order; often empty."""
        if not self._open or (self.in_flight and not self._touched):
            return []
        lanes = self._lanes_to_ask()
        counts = self._shortages(lanes)
        total = sum(counts)
        room = min(self._budget - len(self._groups.task_of), self._max_in_flight - self.in_flight)
        if total > room:
            if room <= 0:
                return []
            granted = self._cut(lanes, counts, room)
            # What is cut now is asked for when there is room again.
            self._touched = {lane for lane, count, part in zip(lanes, counts, granted, strict=True) if part < count}
            counts = granted
        else:
            self._touched.clear()
        if not total:
            return []
        launches = self._tasks_to_launch(lanes, counts)
        self._book(launches)
        return launches

    def _cut(self, lanes: Sequence[int], counts: list[int], room: int) -> list[int]:
        """Cut the counts to a sum of `room`. Cheap lanes come first: a hopeless one must not starve them."""
        granted = [0] * len(lanes)
        shuffled = self._rng.permutation(len(lanes)).tolist()
        for i in sorted(shuffled, key=lambda i: self._lanes[lanes[i]].tries):
            granted[i] = min(counts[i], room)
            room -= granted[i]
        return granted

    def _tasks_to_launch(self, lanes: Sequence[int], counts: list[int]) -> list[int]:
        if self._by_task:
            tasks = np.repeat(np.asarray(lanes), counts)
        else:
            # Not "rounded": it would give each refill of a single group to the largest task.
            quota = "multinomial" if self._config.quota == "multinomial" else "stratified"
            drawn_K = draw_quotas(self._weights_K, sum(counts), quota, self._rng)
            tasks = np.repeat(np.arange(len(drawn_K)), drawn_K)
        # Mixed order: where surplus fills up, or places are taken by the first launched, no task comes first.
        return self._rng.permutation(tasks).tolist()

    def _book(self, launches: list[int]) -> None:
        first_id = len(self._groups.task_of)
        self._groups.launch(launches)
        for launch_id, task in enumerate(launches, start=first_id):
            self._lanes[task if self._by_task else 0].launch_ids.append(launch_id)
        self._refills += 1

    def tell(self, launch_id: int, outcome: Outcome) -> None:
        """Say what came of a group; surplus groups may still be told of when the step is done.

        Raises:
            ValueError: the group was never launched, or its outcome is known already.
        """
        task = self._groups.tell(launch_id, outcome)
        index = task if self._by_task else 0
        lane = self._lanes[index]
        lane.ended += 1
        if outcome == KEPT:
            lane.kept += 1
        elif outcome == FAILED:
            lane.failed += 1
        if lane.kept < lane.places:
            if outcome != KEPT:
                self._touched.add(index)
        elif lane.settled < lane.places:
            lane.settle(self._groups.outcome_of)
            self._open -= lane.met

    def select(self) -> Selection:
        """Choose at most n_k informative groups of each task, then fill up to B from the rest, in launch order.

        The counts of the selection are of this step: what was launched, and what ended, in it.
        """
        self._teach_tracker()
        limit_K = self.quota_K if self._by_task else None
        selection = select_groups(self._groups, self.quota_K, limit_K, self._batch_size, self._refills)
        return replace(
            selection,
            launched_K=selection.launched_K - self._carried_K,
            finished_K=selection.finished_K - self._carried_kept_K,
        )

    def _teach_tracker(self) -> None:
        """Update rho once a step, from the groups before the first one in flight of each lane.

        Once, because it is the memory across steps; within the step `_Lane.shortage` learns from each group. Groups
        that overtook one still in flight stay out: short ones would be counted, long ones not. Where the next step goes
        on with what is in flight, every group counts in the step in which it ends, the long ones in a later one.
        """
        if self._taught:
            return
        self._taught = True
        groups = self._groups
        if self._carries_over:
            filtered_K = groups.count_K(Outcome.FILTERED)
            self._tracker.update(filtered_K, filtered_K + groups.kept_K - self._carried_kept_K)
            return
        launch_ids = np.arange(len(groups.task_of))
        lane_of = groups.tasks() if self._by_task else np.zeros_like(launch_ids)
        in_flight = np.flatnonzero(groups.outcomes() == 0)
        first_in_flight = np.full(len(self._lanes), len(launch_ids))
        np.minimum.at(first_in_flight, lane_of[in_flight], in_flight)
        ended = launch_ids[launch_ids < first_in_flight[lane_of]]
        filtered_K = groups.count_K(Outcome.FILTERED, ended)
        kept_K = groups.count_K(Outcome.INFORMATIVE, ended)
        self._tracker.update(filtered_K, filtered_K + kept_K)
