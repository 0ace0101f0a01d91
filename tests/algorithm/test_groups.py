"""Classification of groups, quotas, and the ledger of a step."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, Group, GroupLedger, GroupResult, Outcome, judge
from mt_grpo_recipe.algorithm.quotas import draw_quotas, rounded_counts, stratified_counts
from mt_grpo_recipe.algorithm.selection import select_groups
from mt_grpo_recipe.algorithm.settings import RoundsSettings

KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, spread=True)
FILTERED = GroupResult(Outcome.FILTERED, 0.0, spread=False)
FAILED = FAILED_GROUP


@pytest.mark.parametrize(
    ("rewards", "correct", "mixed", "spread"),
    [
        ([1.0, 0.0], [True, False], KEPT, KEPT),
        ([1.0, 1.0], [True, True], FILTERED, FILTERED),
        ([0.0, 0.0], [False, False], FILTERED, FILTERED),
        ([0.1, 0.0], [False, False], FILTERED, KEPT),  # format alone differs
        ([0.1] * 72, [False] * 72, FILTERED, FILTERED),
        ([1.0, math.nan], [True, False], FAILED, FAILED),
        ([1.0, math.inf], [True, False], FAILED, FAILED),
        ([], [], FAILED, FAILED),
        ([1.0], [True], FILTERED, FILTERED),
    ],
)
def test_what_is_informative(rewards, correct, mixed, spread):
    assert judge(rewards, correct, RoundsSettings(informative="mixed")).outcome == mixed.outcome
    assert judge(rewards, correct, RoundsSettings(informative="spread")).outcome == spread.outcome
    kept = FAILED if mixed is FAILED else KEPT
    assert judge(rewards, correct, RoundsSettings(drop_uninformative=False, ratio=False)).outcome == kept.outcome


def test_a_result_holds_the_accuracy_and_whether_the_rewards_differ():
    keep_all = RoundsSettings(drop_uninformative=False, ratio=False)
    assert judge([1.0, 0.1, 0.1, 1.0], [True, False, False, True], RoundsSettings())[:3] == (
        Outcome.INFORMATIVE,
        0.5,
        True,
    )
    # Filtered although the rewards differ, and filtered because they do not.
    assert judge([0.1, 0.0], [False, False], RoundsSettings())[:3] == (Outcome.FILTERED, 0.0, True)
    assert judge([0.1, 0.1], [False, False], RoundsSettings())[:3] == (Outcome.FILTERED, 0.0, False)
    # Let through with equal rewards, or with unequal ones.
    assert judge([1.0, 1.0], [True, True], keep_all)[:3] == (Outcome.INFORMATIVE, 1.0, False)
    assert judge([0.1, 0.0], [False, False], keep_all)[:3] == (Outcome.INFORMATIVE, 0.0, True)
    # Some right and some wrong, but equal rewards.
    assert judge([0.5, 0.5], [True, False], RoundsSettings())[:3] == (Outcome.INFORMATIVE, 0.5, False)
    # Rewards under which no rollout is right or wrong.
    graded = judge([2.0, 9.0], [0.25, 0.875], RoundsSettings(informative="spread"))
    assert graded[:3] == (Outcome.INFORMATIVE, 0.5625, True)
    assert judge([1.0, 0.0], [1.0, math.nan], RoundsSettings()) == FAILED_GROUP
    assert judge([], [], RoundsSettings()) == FAILED_GROUP
    assert judge([1.0, 0.1], [True, False], RoundsSettings(), tokens=33)[3:] == (2, 33)


shares = st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda values: sum(values) > 1e-3)


@given(shares, st.integers(0, 5000), st.integers(0, 2**32))
def test_stratified_counts_add_up_and_stay_within_one(values, total, seed):
    shares_K = np.array(values) / sum(values)
    counts_K = stratified_counts(shares_K, total, np.random.default_rng(seed))
    assert counts_K.sum() == total
    assert (np.abs(counts_K - total * shares_K) < 1 + 1e-9).all()
    assert (counts_K >= 0).all()
    assert (counts_K[shares_K == 0] == 0).all()


def test_stratified_counts_are_right_on_average():
    shares_K, total, draws = np.array([0.43, 0.11, 0.46]), 7, 4000
    counts = [stratified_counts(shares_K, total, np.random.default_rng(seed)) for seed in range(draws)]
    # A count is one of two neighbours: its deviation is at most 1/2, that of the mean 0.5 / sqrt(4000) = 0.008.
    assert np.mean(counts, axis=0) == pytest.approx(total * shares_K, abs=4 * 0.008)


def test_stratified_counts_of_whole_numbers_are_exact():
    for seed in range(20):
        counts_K = stratified_counts(np.array([0.5, 0.25, 0.25]), 8, np.random.default_rng(seed))
        assert counts_K.tolist() == [4, 2, 2]


def test_rounded_counts_by_hand():
    # 10 * (0.55, 0.25, 0.2) = 5.5, 2.5, 2: floors 5, 2, 2; one is left, the larger remainders tie, the first wins.
    assert rounded_counts(np.array([0.55, 0.25, 0.2]), 10).tolist() == [6, 2, 2]
    # 7 * (0.43, 0.11, 0.46) = 3.01, 0.77, 3.22: floors 3, 0, 3; the one left goes to 0.77.
    assert rounded_counts(np.array([0.43, 0.11, 0.46]), 7).tolist() == [3, 1, 3]
    # Thirds in floats must neither lose nor gain one.
    assert rounded_counts(np.full(3, 1 / 3), 3).tolist() == [1, 1, 1]


@given(shares, st.integers(0, 5000))
def test_rounded_counts_add_up_and_are_nearest(values, total):
    shares_K = np.array(values) / sum(values)
    counts_K = rounded_counts(shares_K, total)
    assert counts_K.sum() == total
    assert (np.abs(counts_K - total * shares_K) < 1 + 1e-9).all()
    assert (counts_K[shares_K == 0] == 0).all()


@pytest.mark.parametrize("quota", ["multinomial", "stratified", "rounded"])
def test_quotas_add_up_to_the_batch_and_follow_the_weights(quota):
    weights_K = np.array([0.2, 0.0, 0.8])
    draws = [draw_quotas(weights_K, 10, quota, np.random.default_rng(seed)) for seed in range(2000)]
    assert {int(quota_K.sum()) for quota_K in draws} == {10}
    assert {int(quota_K[1]) for quota_K in draws} == {0}
    # Multinomial: deviation sqrt(10 * 0.2 * 0.8) = 1.27, of the mean 0.028.
    assert np.mean(draws, axis=0) == pytest.approx([2, 0, 8], abs=4 * 0.029)


def test_multinomial_quotas_do_spread_and_stratified_ones_do_not():
    rng = np.random.default_rng(0)
    weights_K = np.array([0.5, 0.5])
    multinomial = [draw_quotas(weights_K, 32, "multinomial", rng)[0] for _ in range(500)]
    assert np.std(multinomial) == pytest.approx(math.sqrt(32 / 4), rel=0.15)
    assert {draw_quotas(weights_K, 32, "stratified", rng)[0] for _ in range(50)} == {16}


def test_the_ledger_counts_by_task():
    ledger = GroupLedger(3)
    ledger.launch([0, 2, 2])
    ledger.launch([])
    ledger.launch([0])
    assert ledger.count_K(ledger.fresh()).tolist() == [2, 0, 2]
    assert ledger.tell(2, KEPT) == 2
    assert ledger.tell(0, FILTERED) == 0
    assert ledger.tell(3, FAILED) == 0
    assert (ledger.in_flight, ledger.outcomes().tolist()) == (
        1,
        [Outcome.FILTERED, 0, Outcome.INFORMATIVE, Outcome.FAILED],
    )
    assert ledger.count_K(ledger.outcomes() == Outcome.INFORMATIVE).tolist() == [0, 0, 1]
    assert [ledger.group(i) for i in (1, 2)] == [Group(2, 0, None), Group(2, 0, KEPT)]


def test_the_ledger_tells_carried_groups_from_those_of_its_step():
    ledger = GroupLedger(2, carried=[Group(1, 3, KEPT), Group(0, 4, None)], step=5)
    ledger.launch([1])
    ledger.tell(1, FILTERED)
    ledger.tell(2, GroupResult(Outcome.INFORMATIVE, 0.25, spread=False))
    assert ledger.fresh().tolist() == [False, False, True]
    # The first one ended, and was counted, in an earlier step.
    assert ledger.told_now().tolist() == [False, True, True]
    assert [ledger.group(i).launched_in for i in range(3)] == [3, 4, 5]
    quota_K = np.array([1, 1])
    selection = select_groups(ledger, quota_K, quota_K, batch_size=2, rounds=1)
    assert selection.launch_ids == [0, 2]
    assert selection.launched_K.tolist() == [0, 1]
    assert selection.finished_K.tolist() == [1, 1]
    assert selection.zero_gradient_K.tolist() == [1, 1]
    assert selection.correct_K.tolist() == [0.0, 0.25]
    assert selection.chosen_gradient_K.tolist() == [0, 1]


def test_what_is_left_is_in_flight_or_informative_and_not_chosen():
    ledger = GroupLedger(1, step=1)
    ledger.launch([0] * 5)
    for launch_id, result in ((0, KEPT), (1, FILTERED), (2, KEPT), (3, FAILED)):
        ledger.tell(launch_id, result)
    selection = select_groups(ledger, np.array([1]), np.array([1]), batch_size=1, rounds=1)
    assert (selection.launch_ids, selection.left) == ([0], [2, 4])
    assert selection.left_groups() == [Group(0, 1, KEPT), Group(0, 1, None)]


@given(st.sampled_from([None, FAILED_GROUP, GroupResult(Outcome.INFORMATIVE, 1 / 3, True)]))
def test_a_group_survives_json(result):
    group = Group(2, 7, result)
    assert Group.from_state(json.loads(json.dumps(group.state()))) == group


@pytest.mark.parametrize("launch_id", [-1, 2, 99])
def test_the_ledger_refuses_a_group_that_was_never_launched(launch_id):
    ledger = GroupLedger(2)
    ledger.launch([0, 1])
    with pytest.raises(ValueError, match=f"group {launch_id} is not in flight"):
        ledger.tell(launch_id, KEPT)


def test_the_ledger_refuses_a_second_outcome():
    ledger = GroupLedger(2)
    ledger.launch([0, 1])
    ledger.tell(1, FILTERED)
    with pytest.raises(ValueError, match="group 1 is not in flight"):
        ledger.tell(1, KEPT)
    assert (ledger.in_flight, ledger.outcomes().tolist()) == (1, [0, Outcome.FILTERED])


def told(tasks, outcomes):
    ledger = GroupLedger(2)
    ledger.launch(tasks)
    for launch_id, outcome in enumerate(outcomes):
        ledger.tell(launch_id, outcome)
    return ledger


def test_selection_takes_the_quota_in_order_of_launch_then_fills():
    ledger = told([0, 0, 0, 1, 0, 1], [KEPT, FILTERED, KEPT, FAILED, KEPT, KEPT])
    quota_K = np.array([1, 2])
    # Within quota: 0 (task 0), 5 (task 1). One place is left: 2, launched before 4.
    selection = select_groups(ledger, quota_K, quota_K, batch_size=3, rounds=1)
    assert selection.launch_ids == [0, 2, 5]
    assert selection.chosen_K.tolist() == [2, 1]
    assert selection.shortfall_K.tolist() == [0, 1]
    assert selection.launched_K.tolist() == [4, 2]
    assert selection.finished_K.tolist() == [4, 1]
    assert selection.filtered_K.tolist() == [1, 0]
    assert selection.failed_K.tolist() == [0, 1]


def test_selection_without_limits_takes_the_first_launched():
    ledger = told([0, 0, 0, 1], [KEPT, FILTERED, KEPT, KEPT])
    assert select_groups(ledger, np.array([1, 1]), None, batch_size=2, rounds=1).launch_ids == [0, 2]


def test_a_selection_does_not_change_when_the_ledger_goes_on():
    ledger = told([0, 1], [KEPT, KEPT])
    quota_K = np.array([1, 1])
    selection = select_groups(ledger, quota_K, quota_K, batch_size=2, rounds=1)
    ledger.launch([0])
    ledger.tell(2, FILTERED)
    assert selection.launched_K.tolist() == [1, 1]
    assert selection.filtered_K.tolist() == [0, 0]


def test_selection_of_nothing():
    selection = select_groups(told([0], [FILTERED]), np.array([1, 1]), np.array([1, 1]), batch_size=2, rounds=1)
    assert selection.launch_ids == []
    assert selection.shortfall_K.tolist() == [1, 1]
