"""A task whose groups fail: it was not measured, so it moves no weight, and it is counted."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from rule_examples import example_settings

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupResult, Outcome
from mt_grpo_recipe.algorithm.settings import (
    RULES,
    SCHEDULES,
    FixedSettings,
    ImprovementAwareSettings,
    MTGRPOConfig,
    SequentialSettings,
)

TASKS = ["countdown", "zebra", "arc"]
ARC = 2


def make(weights, **given):
    return TaskController(TASKS, 12, MTGRPOConfig(weights=weights, **given), rows_K=[100] * 3)


def step(controller, drive, failing=(), accuracy_K=(0.5, 0.5, 0.5), signal_K=(0.1, 0.1, 0.1)):
    """One step of a real sampler in which every group of the failing tasks fails."""

    def answer(_, task):
        return FAILED_GROUP if task in failing else GroupResult(Outcome.INFORMATIVE, accuracy_K[task], True)

    run = drive(controller.begin_step(), answer, np.random.default_rng(0))
    controller.observe(run.selection)
    in_batch_K = run.selection.chosen_K > 0
    controller.update_weights(np.where(in_batch_K, signal_K, math.nan))
    return run.selection


@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("rule", ["improvement_aware", "regularized", "sec"])
def test_the_weight_of_a_task_whose_groups_all_fail_stays_where_it_was(rule, first, drive):
    controller = make(RULES[rule]())
    for number in range(200):
        step(controller, drive, failing=[ARC] if number >= first else [])
        if number == first - 1:
            expected_K = controller.weights_K
    if first == 0:
        expected_K = np.full(3, 1 / 3)
    # The others are alike, so arc keeps its share; under sec their values rise from zero.
    if rule == "sec":
        assert controller.state_dict()["weights"]["value"][ARC] == pytest.approx(0.1 * (1 - 0.5**first))
    else:
        assert controller.weights_K == pytest.approx(expected_K, abs=1e-6)
    assert controller.metrics()["failing_steps"] == {"countdown": 0, "zebra": 0, "arc": 200 - first}


@pytest.mark.parametrize("rule", RULES)
def test_under_every_rule_a_failing_task_leaves_weights_that_can_be_drawn_from(rule, drive):
    controller = make(example_settings(rule, TASKS))
    for number in range(60):
        step(controller, drive, failing=[ARC] if number % 30 < 20 else [])
        assert np.isfinite(controller.weights_K).all() and min(controller.weights_K) >= 0
        assert sum(controller.weights_K) == pytest.approx(1)
        json.dumps(controller.state_dict(), allow_nan=False)


def test_a_failing_task_has_no_part_in_the_pull_between_the_others(drive):
    controller = make(ImprovementAwareSettings(trade_off=1.0))
    for _ in range(20):
        step(controller, drive, failing=[ARC], accuracy_K=(0.75, 0.25, 0.0))
    weights_K = controller.weights_K
    assert weights_K[0] < weights_K[ARC] < weights_K[1]
    assert abs(controller.state_dict()["weights"]["logits"][ARC]) < 1e-9


def test_a_task_of_which_some_groups_finish_is_measured(drive):
    controller = make(ImprovementAwareSettings(trade_off=0.0))
    step(controller, drive)
    selection = step(controller, drive, failing=[ARC])
    assert selection.failed_K[ARC] > 0 and controller.streaks.failing_K.tolist() == [0, 0, 1]
    step(controller, drive)
    assert controller.streaks.failing_K.tolist() == [0, 0, 0]


def test_a_task_without_launches_stalls_at_its_last_accuracy(drive):
    controller = make(ImprovementAwareSettings(trade_off=0.0))
    step(controller, drive)
    weight = controller.weights_K[ARC]
    # Measured before, and not in this update: I_k = 0 beside 0.1 of the others, so its weight grows.
    controller.update_weights(np.array([0.1, 0.1, math.nan]))
    assert controller.weights_K[ARC] > weight


def test_a_task_that_is_not_launched_neither_fails_once_more_nor_recovers(drive):
    controller = make(FixedSettings(initial=[0.5, 0.5, 0.0]))
    controller.streaks.failing_K[ARC] = 2
    step(controller, drive)
    assert controller.streaks.failing_K.tolist() == [0, 0, 2]


def test_a_skipped_step_counts_for_a_stage_and_moves_no_other_rule():
    sequential = make(SequentialSettings(stages=[["arc"], ["countdown", "zebra"]], stage_steps=2))
    for expected in ([0, 0, 1], [0, 0, 1], [0.5, 0.5, 0]):
        assert sequential.weights_K.tolist() == expected
        sequential.skip_update()
    improvement_aware = make(ImprovementAwareSettings())
    before = improvement_aware.state_dict()
    improvement_aware.skip_update()
    assert improvement_aware.state_dict() == before


QUOTAS = {"rounds": {"quota": "stratified"}, "streaming": {"quota": "stratified"}, "budget": {}}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_broken_task_is_tried_at_its_share_and_does_not_cost_the_others_theirs(schedule, drive):
    settings = SCHEDULES[schedule](**QUOTAS[schedule])
    controller = make(FixedSettings(initial=[0.25, 0.25, 0.5]), sampler=settings)
    for _ in range(3):
        assert step(controller, drive, failing=[ARC]).launched_K[ARC] >= 6
    step(controller, drive, failing=[ARC])  # In this one, the debt of three steps is given up.
    chosen_K = np.zeros(3)
    for _ in range(10):
        selection = step(controller, drive, failing=[ARC])
        # Half of the groups: of a round of 36, or of a batch of 12, where rounding may add one.
        assert 5 <= selection.launched_K[ARC] <= (18 if schedule == "rounds" else 7)
        chosen_K += selection.chosen_K
    # Of the others 3 in each step; what `rounds` and `streaming` have beyond that fills the batch.
    assert min(chosen_K[:ARC]) >= 30
    # It is back within the step in which its first groups finish.
    assert step(controller, drive).chosen_K.tolist() == [3, 3, 6]


def hard_to_learn(controller):
    """Say that of 10 groups of arc 9 have been filtered, in each of 50 steps."""
    for _ in range(50):
        controller._tracker.update(np.array([0, 0, 9]), np.array([10, 10, 10]))


def test_a_broken_task_is_not_tried_more_often_because_its_groups_were_filtered_before(drive):
    settings = SCHEDULES["rounds"](quota="stratified", max_resample_rounds=0)
    controller = make(FixedSettings(initial=[0.25, 0.25, 0.5]), sampler=settings)
    hard_to_learn(controller)
    launched_K = step(controller, drive, failing=[ARC]).launched_K
    assert launched_K.tolist() == [3, 3, 30], "m_k is 1, 1 and 5"
    controller.streaks.failing_K[ARC] = 3
    assert step(controller, drive, failing=[ARC]).launched_K.tolist() == [9, 9, 18]


def test_what_is_launched_ahead_is_inflated_as_the_next_step_is():
    settings = SCHEDULES["streaming"](quota="stratified", ratio_from_step=3)
    controller = TaskController(TASKS, 12, MTGRPOConfig(weights=FixedSettings(), sampler=settings), carries_over=True)
    hard_to_learn(controller)

    def launched_ahead():
        controller._held = []
        return np.bincount(controller.launch_ahead(21), minlength=3).tolist()

    assert launched_ahead() == [7, 7, 7], "the first step keeps no ratio"
    controller.begin_step()
    controller.begin_step()
    assert launched_ahead() == [3, 3, 15], "m_k is 1, 1 and 5"
    controller.streaks.failing_K[ARC] = 3
    assert launched_ahead() == [7, 7, 7]


@pytest.mark.parametrize("schedule", ["rounds", "streaming"])
def test_the_first_group_of_a_broken_task_that_finishes_ends_the_caution(schedule, drive):
    """Every fourth group finishes: what is missing of 6 is asked for until it is there."""
    settings = SCHEDULES[schedule](**QUOTAS[schedule], oversample=1.0)
    controller = make(FixedSettings(initial=[0.5, 0.0, 0.5]), sampler=settings)
    controller.streaks.failing_K[ARC] = 5
    tried = []

    def answer(_, task):
        tried.append(task)
        fails = task == ARC and tried.count(ARC) % 4
        return FAILED_GROUP if fails else GroupResult(Outcome.INFORMATIVE, 0.5, True)

    run = drive(controller.begin_step(), answer, np.random.default_rng(0))
    assert run.selection.chosen_K.tolist() == [6, 0, 6]
    assert run.selection.launched_K[ARC] >= 21


def test_what_a_broken_task_was_owed_passes_to_the_others(drive):
    controller = make(FixedSettings(initial=[0.25, 0.25, 0.5]), sampler=SCHEDULES["budget"]())
    controller.streaks.failing_K[ARC] = 3
    state = controller.state_dict()
    controller.load_state_dict({**state, "owed": [-1.0, -3.0, 4.0]})
    selection = step(controller, drive, failing=[ARC])
    # Four are given up, two to each; half of what is trained on is due to each of the two.
    due = selection.chosen_K.sum() / 2
    owed = [1.0 + due - selection.chosen_K[0], -1.0 + due - selection.chosen_K[1], 0.0]
    assert controller.state_dict()["owed"] == pytest.approx(owed) and sum(owed) == pytest.approx(0)


def test_where_nothing_finishes_groups_are_replaced_as_ever(drive):
    """A server that restarts should be met by as many tries as a step has."""
    controller = make(FixedSettings(), sampler=SCHEDULES["rounds"](max_resample_rounds=2))
    for _ in range(5):
        assert step(controller, drive, failing=[0, 1, 2]).launched_K.sum() == 3 * 36


@pytest.mark.parametrize(("informative_from", "launched", "chosen"), [(None, 6, 0), (6, 11, 6)])
def test_a_task_without_an_informative_group_for_long_is_tried_at_its_places_until_one_comes(
    drive, informative_from, launched, chosen
):
    """Half of a batch of 12 in streaming: six tries, and if the sixth is informative, as many as it takes."""
    settings = SCHEDULES["streaming"](quota="stratified", inflate=False)
    controller = make(FixedSettings(initial=[0.25, 0.25, 0.5]), sampler=settings)
    for _ in range(22):
        assert not controller._tracker.barren_K.any()
        controller._tracker.update(np.array([0, 0, 10]), np.array([10, 10, 10]))
    assert controller._tracker.barren_K.tolist() == [False, False, True]
    tried = 0

    def answer(_, task):
        nonlocal tried
        tried += task == ARC
        useless = task == ARC and (informative_from is None or tried < informative_from)
        return GroupResult(Outcome.FILTERED if useless else Outcome.INFORMATIVE, 0.5, not useless)

    selection = drive(controller.begin_step(), answer, np.random.default_rng(0)).selection
    assert tried == selection.launched_K[ARC]
    assert min(selection.chosen_K[:ARC]) >= 3
    if informative_from is None:
        assert (tried, selection.chosen_K[ARC]) == (launched, chosen)
    else:
        assert tried >= launched and selection.chosen_K[ARC] == chosen
