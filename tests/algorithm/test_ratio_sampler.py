"""Algorithm 2 followed by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupResult, Outcome
from mt_grpo_recipe.algorithm.samplers.base import Step
from mt_grpo_recipe.algorithm.samplers.rounds import RoundsSampler
from mt_grpo_recipe.algorithm.settings import RoundsSettings

KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, spread=True)
FILTERED = GroupResult(Outcome.FILTERED, 0.0, spread=False)
FAILED = FAILED_GROUP
Z = np.array([0.5, 0.25, 0.25])


def make(batch_size=4, weights_K=Z, decay=0.0, **settings):
    config = RoundsSettings(**{"quota": "stratified", "oversample": 2.0, **settings})
    tracker = AcceptanceTracker(len(weights_K), decay)
    return RoundsSampler(Step(weights_K, tracker, config, batch_size, np.random.default_rng(0))), tracker


def play_round(sampler, next_id, script):
    """Answer one round; script: task -> outcomes in order of launch. Return the ids by task."""
    launches = sampler.ask()
    ids = {task: [next_id + i for i, t in enumerate(launches) if t == task] for task in script}
    assert Counter(launches) == {task: len(outcomes) for task, outcomes in script.items()}
    for task, outcomes in script.items():
        for launch_id, outcome in zip(ids[task], outcomes, strict=True):
            assert sampler.ask() == []
            assert not sampler.done
            sampler.tell(launch_id, outcome)
    return ids


def test_a_step_by_hand():
    sampler, tracker = make(max_inflation=4.0, max_resample_rounds=2)
    # B z = 2, 1, 1 exactly, so the stratified quotas are these.
    assert sampler.quota_K.tolist() == [2, 1, 1]
    # Round 1: rho = 0, 2 * 4 = 8 groups in shares z: 4, 2, 2.
    first = play_round(sampler, 0, {0: [KEPT, FILTERED, FILTERED, FILTERED], 1: [KEPT, KEPT], 2: [FILTERED, FILTERED]})
    # rho = 3/4, 0, 1 (no memory); inflation 4, 1, min(inf, 4) = 4; deficits 1, 0, 1: shares 4 : 0 : 4 of 8.
    assert tracker.filtered_rate_K.tolist() == [0.75, 0.0, 1.0]
    second = play_round(sampler, 8, {0: [FILTERED] * 4, 2: [KEPT, FAILED, KEPT, KEPT]})
    # rho = 1, 0 (none generated), 0 (a failed group says nothing); deficits 1, 0, 0: all 8 go to task 0.
    assert tracker.filtered_rate_K.tolist() == [1.0, 0.0, 0.0]
    play_round(sampler, 16, {0: [FILTERED] * 8})
    # 1 + 2 rounds are spent.
    assert sampler.done
    assert sampler.ask() == []
    selection = sampler.select()
    # One of task 0, the first of task 1, the first of task 2; the fourth place: the second of task 1, the earliest
    # launched of what is left.
    kept_0, kept_1, kept_2 = first[0][0], first[1], second[2][0]
    assert selection.launch_ids == sorted([kept_0, *kept_1, kept_2])
    assert selection.chosen_K.tolist() == [1, 2, 1]
    assert selection.shortfall_K.tolist() == [1, 0, 0]
    assert selection.launched_K.tolist() == [16, 2, 6]
    assert selection.finished_K.tolist() == [16, 2, 5]
    assert selection.filtered_K.tolist() == [15, 0, 2]
    assert selection.failed_K.tolist() == [0, 0, 1]
    assert selection.rounds == 3


def test_the_first_round_is_inflated_by_what_earlier_steps_showed():
    config = RoundsSettings(quota="stratified", oversample=2.0, max_inflation=5.0)
    tracker = AcceptanceTracker(2, decay=0.0)
    tracker.update(np.array([2, 0]), np.array([3, 3]))
    # rho = 2/3, 0: inflation 3, 1. z = 1/2, 1/2 -> shares 3 : 1 of 8 = 6, 2.
    sampler = RoundsSampler(Step(np.array([0.5, 0.5]), tracker, config, 4, np.random.default_rng(0)))
    assert Counter(sampler.ask()) == {0: 6, 1: 2}
    flat = RoundsSettings(quota="stratified", oversample=2.0, inflate=False)
    assert Counter(RoundsSampler(Step(np.array([0.5, 0.5]), tracker, flat, 4, np.random.default_rng(0))).ask()) == {
        0: 4,
        1: 4,
    }


def test_a_step_without_ratio_ends_when_the_batch_is_full_whatever_the_shares():
    sampler, _ = make(ratio=False)
    # The quotas 2, 1, 1 are unmet by 0, 2, 2 informative groups, but these are B = 4.
    play_round(sampler, 0, {0: [FILTERED] * 4, 1: [KEPT] * 2, 2: [KEPT] * 2})
    assert sampler.done
    assert sampler.select().chosen_K.tolist() == [0, 2, 2]


def test_a_step_without_filter_replaces_failed_groups_task_for_task():
    sampler, _ = make(drop_uninformative=False, ratio=False)
    play_round(sampler, 0, {0: [KEPT, FAILED], 1: [FAILED], 2: [KEPT]})
    assert not sampler.done
    play_round(sampler, 4, {0: [KEPT], 1: [KEPT]})
    assert sampler.done
    assert sampler.select().chosen_K.tolist() == [2, 1, 1]


def test_telling_of_an_unknown_group_raises():
    sampler, _ = make()
    with pytest.raises(ValueError, match="not in flight"):
        sampler.tell(0, KEPT)
    sampler.ask()
    with pytest.raises(ValueError, match="not in flight"):
        sampler.tell(8, KEPT)


def test_a_step_that_brings_nothing_ends_with_an_empty_batch(drive):
    sampler, _ = make(max_resample_rounds=3)
    run = drive(sampler, lambda launch_id, task: FAILED, np.random.default_rng(0))
    assert run.selection.launch_ids == []
    assert len(run.task_of) == 4 * 8  # budget: four rounds of eight


def test_selection_does_not_depend_on_who_finishes_first(drive):
    outcomes = [(KEPT, FILTERED)[i] for i in np.random.default_rng(1).integers(2, size=1000)]
    chosen = {
        tuple(drive(make()[0], lambda i, task: outcomes[i], np.random.default_rng(seed)).selection.launch_ids)
        for seed in range(10)
    }
    assert len(chosen) == 1
