"""The ratio-preserving sampler without rounds: every finished group may call for its replacement at once.

Algorithm 2 (arXiv 2602.05547) waits for the slowest group of a round before it asks for more, and then asks for another
whole round. Here the driver asks after each poll, and gets as many groups as are expected to be missing still:

    target_k = def_k / a_k + safety * sqrt(def_k (1 - a_k)) / a_k,      launch ceil(target_k) - in flight_k,

where def_k groups are missing and a_k is the estimated share of groups that are informative. The number of tries that
def_k successes take is negative binomial with that mean and that standard deviation, so `safety` counts deviations.

Groups are considered in order of launch, never of finishing: taking whichever group ends first would prefer short
answers. A quota is met only once every group launched before the last one that it takes has ended, too.

Where rollouts go on while the policy is trained, a step begins with the groups that earlier steps left: those in
flight, and those that ended, are informative and were not chosen. They keep their place in the order of launch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mt_grpo_recipe.algorithm.arrays import BoolArray
from mt_grpo_recipe.algorithm.groups import FAILED, INFORMATIVE, Group, GroupLedger, GroupResult, Outcome
from mt_grpo_recipe.algorithm.quotas import draw_quotas
from mt_grpo_recipe.algorithm.samplers.base import Step
from mt_grpo_recipe.algorithm.samplers.lane import Lane
from mt_grpo_recipe.algorithm.selection import Selection, select_groups
from mt_grpo_recipe.algorithm.settings import StreamingSettings


class StreamingSampler:
    """One step of the streaming sampler.

    `max_inflight` bounds the groups in flight, `budget` those launched in all. Carried groups count toward neither. rho
    is updated once, by `select`.

    Args:
        step: what the step runs with.

    Raises:
        TypeError: the step's settings are those of another schedule.
    """

    def __init__(self, step: Step):
        settings = step.settings
        if not isinstance(settings, StreamingSettings):
            raise TypeError(f"StreamingSampler needs StreamingSettings, not {type(settings).__name__}")
        self._step = step
        self._settings = settings
        self._weights_K = step.weights_K / step.weights_K.sum()
        self.quota_K = draw_quotas(step.weights_K, step.batch_size, settings.quota, step.rng)
        carried = step.carried or []
        self._groups = GroupLedger(len(step.weights_K), carried, step.number)
        self._budget = settings.budget(step.batch_size) + len(carried)
        self._max_in_flight = math.ceil(settings.max_inflight * step.batch_size) + self.in_flight
        self._by_task = settings.fills_by_task
        self._lanes = self._make_lanes()
        self._touched: set[int] = set()
        """Lanes that may lack groups although something is in flight."""
        self._refills = 0
        self._taught = False
        if carried:
            self._adopt(carried)
        self._open = sum(not lane.met for lane in self._lanes)

    def _make_lanes(self) -> list[Lane]:
        settings, tracker = self._settings, self._step.tracker
        seen_K = tracker.recent_finished_K
        informative_K = seen_K - tracker.recent_filtered_K
        inflate = settings.inflate and settings.drop_uninformative
        if not self._by_task:
            return [Lane(self._step.batch_size, inflate, float(informative_K.sum()), float(seen_K.sum()))]
        by_task = zip(self.quota_K.tolist(), informative_K.tolist(), seen_K.tolist(), strict=True)
        return [
            Lane(places, inflate, informative, seen, task in self._step.broken, bool(tracker.barren_K[task]))
            for task, (places, informative, seen) in enumerate(by_task)
        ]

    def _adopt(self, carried: Sequence[Group]) -> None:
        """Put the groups that earlier steps left into their lanes."""
        for launch_id, group in enumerate(carried):
            lane = self._lanes[self._lane_of(group.task)]
            lane.launch_ids.append(launch_id)
            if group.result is not None:
                lane.ended += 1
                lane.informative += 1
                lane.carried += 1
        for lane in self._lanes:
            lane.settle(self._groups.outcome_of)
        self._touched = set(range(len(self._lanes)))

    def _lane_of(self, task: int) -> int:
        return task if self._by_task else 0

    @property
    def in_flight(self) -> int:
        """Groups launched whose result was not told yet."""
        return self._groups.in_flight

    @property
    def done(self) -> bool:
        """The batch is settled, though surplus groups may be in flight; or none is, and no more may be launched."""
        if not self._open:
            return True
        return not self.in_flight and not any(self._shortages(self._lanes_to_ask()))

    def _lanes_to_ask(self) -> Sequence[int]:
        """Lanes that may lack groups: those that lost one to the filter since they last lacked none.

        An informative group lowers the target by more than the one group that it takes out of flight. It may also
        revive a lane that was given up; the look at all lanes finds that once nothing is in flight.
        """
        return sorted(self._touched) if self.in_flight else range(len(self._lanes))

    def _shortages(self, lanes: Sequence[int]) -> list[int]:
        """Groups that each of these lanes lacks."""
        budget_left = self._budget - len(self._groups.task_of)
        if budget_left <= 0:
            return [0] * len(lanes)
        return [self._lanes[lane].shortage(self._settings.safety_margin, budget_left) for lane in lanes]

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
        shuffled = self._step.rng.permutation(len(lanes)).tolist()
        for i in sorted(shuffled, key=lambda i: self._lanes[lanes[i]].tries):
            granted[i] = min(counts[i], room)
            room -= granted[i]
        return granted

    def _tasks_to_launch(self, lanes: Sequence[int], counts: list[int]) -> list[int]:
        if self._by_task:
            tasks = np.repeat(np.asarray(lanes), counts)
        else:
            # Not "rounded": it would give each refill of a single group to the largest task.
            quota = "multinomial" if self._settings.quota == "multinomial" else "stratified"
            drawn_K = draw_quotas(self._weights_K, sum(counts), quota, self._step.rng)
            tasks = np.repeat(np.arange(len(drawn_K)), drawn_K)
        # Mixed order: where surplus fills up, or places are taken by the first launched, no task comes first.
        return self._step.rng.permutation(tasks).tolist()

    def _book(self, launches: list[int]) -> None:
        first_id = len(self._groups.task_of)
        self._groups.launch(launches)
        for launch_id, task in enumerate(launches, start=first_id):
            self._lanes[self._lane_of(task)].launch_ids.append(launch_id)
        self._refills += 1

    def tell(self, launch_id: int, result: GroupResult) -> None:
        """Say what came of a group; surplus groups may still be told of when the step is done.

        Raises:
            ValueError: the group was never launched, or its result is known already.
        """
        index = self._lane_of(self._groups.tell(launch_id, result))
        lane, outcome = self._lanes[index], result.outcome
        lane.ended += 1
        if outcome == INFORMATIVE:
            lane.informative += 1
        elif outcome == FAILED:
            lane.failed += 1
        if lane.informative < lane.places:
            if outcome != INFORMATIVE:
                self._touched.add(index)
        elif lane.settled < lane.places:
            lane.settle(self._groups.outcome_of)
            self._open -= lane.met

    def select(self) -> Selection:
        """Choose at most n_k informative groups of each task, then fill up to B from the rest, in launch order."""
        self._teach_tracker()
        limit_K = self.quota_K if self._by_task else None
        return select_groups(self._groups, self.quota_K, limit_K, self._step.batch_size, self._refills)

    def _teach_tracker(self) -> None:
        """Update rho once per step, from the groups before the first one in flight of each lane.

        Once, because it is the memory across steps; within the step `Lane.shortage` learns from each group. Groups
        that overtook one still in flight stay out: short ones would be counted, long ones not. Where the next step goes
        on with what is in flight, every group counts in the step in which it ends, the long ones in a later one.
        """
        if self._taught:
            return
        self._taught = True
        counted = self._groups.told_now() if self._step.carried is not None else self._ended_in_order()
        outcomes = self._groups.outcomes()
        filtered_K = self._groups.count_K(counted & (outcomes == Outcome.FILTERED))
        informative_K = self._groups.count_K(counted & (outcomes == Outcome.INFORMATIVE))
        self._step.tracker.update(filtered_K, filtered_K + informative_K)

    def _ended_in_order(self) -> BoolArray:
        """Whether each group was launched before the first one that its lane has in flight."""
        launch_ids = np.arange(len(self._groups.task_of))
        lane_of = self._groups.tasks() if self._by_task else np.zeros_like(launch_ids)
        in_flight = np.flatnonzero(self._groups.outcomes() == 0)
        first_in_flight = np.full(len(self._lanes), len(launch_ids))
        np.minimum.at(first_in_flight, lane_of[in_flight], in_flight)
        return launch_ids < first_in_flight[lane_of]
