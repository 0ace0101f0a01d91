"""Streaming steps that begin with what earlier ones left: in order of launch, bounded, each group counted once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, Group, GroupResult, Outcome
from mt_grpo_recipe.algorithm.samplers import Step, make_sampler
from mt_grpo_recipe.algorithm.samplers.streaming import StreamingSampler
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig, RoundsSettings, StreamingSettings

KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, spread=True)
FILTERED = GroupResult(Outcome.FILTERED, 0.0, spread=False)
FAILED = FAILED_GROUP


def make(carried, weights=(0.5, 0.5), batch_size=4, tracker=None, **settings):
    config = StreamingSettings(quota="stratified", **settings)
    tracker = tracker or AcceptanceTracker(len(weights), decay=0.9)
    step = Step(np.array(weights), tracker, config, batch_size, np.random.default_rng(0), number=2, carried=carried)
    return StreamingSampler(step)


def stock(task):
    """A group that ended in an earlier step, is informative and was not chosen."""
    return Group(task, 1, KEPT)


def flying(task):
    """A group that an earlier step left in flight."""
    return Group(task, 1, None)


def test_a_step_that_begins_with_stock_by_hand():
    tracker = AcceptanceTracker(2, decay=0.0)
    # Task 0 has its two places in stock; task 1 has one in stock, launched after one in flight.
    sampler = make([stock(0), flying(1), stock(0), stock(1)], tracker=tracker)
    assert not sampler.done
    # Task 1 lacks one; nothing is known, acceptance 1/2: two should be in flight, one is.
    assert sampler.ask() == [1]
    sampler.tell(1, KEPT)
    # The one in flight took the second place, so nothing waits for the new group.
    assert sampler.done and sampler.in_flight == 1
    selection = sampler.select()
    assert selection.launch_ids == [0, 1, 2, 3]
    assert selection.chosen_K.tolist() == selection.quota_K.tolist() == [2, 2]
    # In this step one was launched and one ended. The stock was counted by the steps in which it ended.
    assert selection.launched_K.tolist() == [0, 1]
    assert selection.finished_K.tolist() == [0, 1]
    assert tracker.recent_finished_K.tolist() == [0, 1]


def test_stock_that_meets_every_quota_settles_the_step_at_once():
    sampler = make([stock(task) for task in (0, 1, 0, 1, 0)])
    assert sampler.done
    assert sampler.ask() == []
    assert sampler.select().launch_ids == [0, 1, 2, 3]


def test_an_earlier_group_in_flight_is_waited_for_before_stock_takes_its_place():
    sampler = make([flying(0), stock(0)], weights=(1.0,), batch_size=1)
    assert not sampler.done
    sampler.tell(0, FILTERED)
    assert sampler.done
    assert sampler.select().launch_ids == [1]


def test_stock_says_nothing_of_the_share_that_is_filtered():
    # Its failures are gone. One missing, nothing known: two to launch, as without stock.
    assert make([stock(0)] * 3, weights=(1.0,), batch_size=4).ask() == [0, 0]


def test_rounds_refuse_to_carry():
    with pytest.raises(ValueError, match="rounds begins every step with nothing"):
        make_sampler(
            Step(np.ones(1), AcceptanceTracker(1, 0.9), RoundsSettings(), 4, np.random.default_rng(0), carried=[])
        )


def test_what_is_launched_ahead_brings_the_shares_to_the_weights_times_the_inflation():
    controller = TaskController(["a", "b"], 8, MTGRPOConfig(sampler=StreamingSettings()), carries_over=True)
    tasks = controller.launch_ahead(10)
    assert sorted(tasks) == [0] * 5 + [1] * 5
    assert [group.task for group in controller.held] == tasks
    assert {(group.launched_in, group.result) for group in controller.held} == {(1, None)}
    assert controller.launch_ahead(10) == []
    # Five of a and one of b are left: the four new ones bring it to five of each.
    controller.forget([i for i, task in enumerate(tasks) if task == 1][1:])
    assert controller.launch_ahead(10) == [1] * 4
    controller.forget(range(10))
    # Half of task a is filtered, by the tracked share: two of a for one of b.
    controller._tracker._filtered_rate_K[:] = [0.5, 0.0]
    assert sorted(controller.launch_ahead(9)) == [0] * 6 + [1] * 3


def test_a_group_is_one_step_older_for_each_update_since_it_was_launched():
    controller = TaskController(["a"], 2, MTGRPOConfig(sampler=StreamingSettings()), carries_over=True)

    def step():
        sampler = controller.begin_step()
        for launch_id, group in enumerate(controller.held):
            if group.result is None:
                sampler.tell(launch_id, KEPT)
        controller.observe(sampler.select())
        return controller.totals()["age"]

    controller.launch_ahead(4)
    assert step() == 0
    # The other two of these are left, and both are one update old.
    assert step() == 1
    # These start while the second update is still to be made.
    controller.launch_ahead(2)
    assert step() == 1


def test_an_informative_group_that_is_dropped_while_it_waits_is_discarded():
    controller = TaskController(["a"], 1, MTGRPOConfig(sampler=StreamingSettings()), carries_over=True)
    controller.launch_ahead(3)
    for expected in (0, 1):
        sampler = controller.begin_step()
        for launch_id, group in enumerate(controller.held):
            if group.result is None:
                sampler.tell(launch_id, KEPT)
        controller.observe(sampler.select())
        assert controller.metrics()["discarded"] == {"a": expected}
        assert [group.result for group in controller.held][:1] == [KEPT]
        controller.forget({0})
        controller.launch_ahead(3)


def test_held_groups_survive_a_checkpoint_and_begin_the_next_step():
    config = MTGRPOConfig(sampler=StreamingSettings(quota="stratified"))
    controller = TaskController(["a", "b"], 2, config, carries_over=True)
    controller.launch_ahead(6)
    sampler = controller.begin_step()
    tasks = [group.task for group in controller.held]
    for launch_id in range(4):
        sampler.tell(launch_id, GroupResult(Outcome.INFORMATIVE, 0.1 * (launch_id + 1), spread=True))
    assert sampler.done
    selection = sampler.select()
    controller.observe(selection)
    # Two of the four that ended are chosen; the others wait, beside the two in flight.
    assert len(selection.launch_ids) == 2
    expected = [
        Group(tasks[i], 1, None if i > 3 else GroupResult(Outcome.INFORMATIVE, 0.1 * (i + 1), True))
        for i in selection.left
    ]
    assert controller.held == expected and len(expected) == 4
    resumed = TaskController(["a", "b"], 2, config, carries_over=True)
    resumed.load_state_dict(json.loads(json.dumps(controller.state_dict())))
    assert resumed.held == expected
    # The stock was counted when it ended: it brings neither a finished group nor a right answer to the next step.
    again = resumed.begin_step()
    assert again.in_flight == 2
    for launch_id in range(4):
        if expected[launch_id].result is None:
            again.tell(launch_id, FILTERED)
    assert again.select().finished_K.sum() == 2
    assert again.select().correct_K.tolist() == [0.0, 0.0]


@st.composite
def runs(draw):
    num_tasks = draw(st.integers(1, 5))
    raw = draw(st.lists(st.floats(0, 1), min_size=num_tasks, max_size=num_tasks).filter(lambda w: sum(w) > 1e-3))
    drop = draw(st.booleans())
    return {
        "weights_K": np.array(raw) / sum(raw),
        "batch_size": draw(st.integers(1, 16)),
        "window": draw(st.integers(0, 64)),
        "config": StreamingSettings(
            drop_uninformative=drop,
            ratio=drop and draw(st.booleans()),
            oversample=draw(st.floats(1, 4)),
            max_resample_rounds=draw(st.integers(0, 6)),
            max_inflight=draw(st.floats(1, 4)),
        ),
        "kept": draw(st.lists(st.floats(0, 1), min_size=num_tasks, max_size=num_tasks)),
        "failed": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "seed": draw(st.integers(0, 2**32)),
    }


class PlayedStep:
    """One step, begun with the groups `held` and played to its end: groups end in random order, drawn by `run`.

    Groups go by their launch id, in `groups` (task, whether it was in stock), `outcome_of` and `running`, which has
    those that are still in flight at the end.
    """

    def __init__(self, run, tracker, rng, held):
        self.run, self.rng = run, rng
        self.num_held, self.groups = len(held), list(held)
        self.outcome_of = {i: KEPT for i, (_, kept) in enumerate(held) if kept}
        self.running = [i for i, (_, kept) in enumerate(held) if not kept]
        self.ended_well = 0
        carried = [stock(task) if kept else flying(task) for task, kept in held]
        step = Step(run["weights_K"], tracker, run["config"], run["batch_size"], rng, carried=carried)
        sampler = make_sampler(step)
        while not sampler.done:
            launches = sampler.ask()
            self.running += range(len(self.groups), len(self.groups) + len(launches))
            self.groups += [(task, False) for task in launches]
            self._end_one(sampler)
        self.selection = sampler.select()

    def _end_one(self, sampler):
        run, rng = self.run, self.rng
        assert self.running, "nothing is in flight, nothing is asked for, and the step is not done"
        assert sampler.in_flight == len(self.running)
        i = self.running.pop(int(rng.integers(len(self.running))))
        kept = not run["config"].drop_uninformative or rng.random() < run["kept"][self.groups[i][0]]
        self.outcome_of[i] = FAILED if rng.random() < run["failed"] else KEPT if kept else FILTERED
        self.ended_well += self.outcome_of[i] is not FAILED
        sampler.tell(i, self.outcome_of[i])

    def check_batch(self):
        selection, batch_size = self.selection, self.run["batch_size"]
        ids, launched = selection.launch_ids, len(self.groups) - self.num_held
        assert launched <= self.run["config"].budget(batch_size)
        assert len(ids) <= batch_size and ids == sorted(set(ids))
        assert {self.outcome_of.get(i) for i in ids} <= {KEPT}
        assert selection.launched_K.sum() == launched
        if len(ids) == batch_size and self.run["config"].fills_by_task and not selection.shortfall_K.any():
            assert selection.chosen_K.tolist() == selection.quota_K.tolist()

    def check_launch_order(self):
        ids, by_task = self.selection.launch_ids, self.run["config"].fills_by_task
        if len(ids) < self.run["batch_size"]:
            assert not self.running, "the step gave up although a group in flight could have helped"
        for i in self.running:
            rivals = [j for j in ids if not by_task or self.groups[j][0] == self.groups[i][0]]
            assert all(j < i for j in rivals), "a group in flight was passed over"

    def left(self):
        """What goes to the next step, in flight or kept and not chosen: `held` of that step."""
        ids = self.selection.launch_ids
        left = [i for i in range(len(self.groups)) if i not in ids and self.outcome_of.get(i, KEPT) is KEPT]
        assert self.selection.left == left
        return [(self.groups[i][0], i in self.outcome_of) for i in left]


@settings(deadline=None, max_examples=200)
@given(run=runs())
def test_invariants_over_steps_that_carry(run):
    rng = np.random.default_rng(run["seed"])
    num_tasks = len(run["weights_K"])
    # Decay 1 is out of its bounds, and makes the tracker a plain count of every group it is told of.
    tracker = AcceptanceTracker(num_tasks, decay=1.0)
    ended_well = 0
    held: list[tuple[int, bool]] = []  # task, kept
    for _ in range(4):
        step = PlayedStep(run, tracker, rng, held)
        step.check_batch()
        step.check_launch_order()
        ended_well += step.ended_well
        assert tracker.recent_finished_K.sum() == ended_well
        held = step.left()
        # Then what is launched ahead of the next step.
        held += [(int(rng.integers(num_tasks)), False) for _ in range(run["window"] - len(held))]
