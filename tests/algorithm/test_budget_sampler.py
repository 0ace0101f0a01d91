"""The budget sampler: exactly B groups, all that is informative trained on, shares that hold over the run."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupResult, Outcome
from mt_grpo_recipe.algorithm.samplers.base import Step
from mt_grpo_recipe.algorithm.samplers.budget import BudgetSampler, owed_without
from mt_grpo_recipe.algorithm.settings import BudgetSettings, FixedSettings, MTGRPOConfig, SettingError

KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, spread=True, rollouts=8, tokens=80)
FILTERED = GroupResult(Outcome.FILTERED, 0.0, spread=False, rollouts=8, tokens=40)


def make(weights=(0.5, 0.5), budget=12, tracker=None, owed=None, **given):
    tracker = tracker or AcceptanceTracker(len(weights), decay=0.9)
    owed_K = None if owed is None else np.array(owed)
    return BudgetSampler(
        Step(np.array(weights), tracker, BudgetSettings(**given), budget, np.random.default_rng(0), owed_K=owed_K)
    )


def run(controller, answer):
    """Run one step; `answer(task)` says what comes of a group. Return the selection."""
    sampler = controller.begin_step()
    tasks = sampler.ask()
    assert sampler.ask() == [] and not sampler.done
    for launch_id, task in enumerate(tasks):
        sampler.tell(launch_id, answer(task))
    assert sampler.done
    selection = sampler.select()
    controller.observe(selection)
    return selection


def controller(weights, budget=12, seed=0, **given):
    config = MTGRPOConfig(weights=FixedSettings(list(weights)), sampler=BudgetSettings(**given), seed=seed)
    return TaskController([f"t{k}" for k in range(len(weights))], budget, config)


def test_a_step_by_hand():
    tracker = AcceptanceTracker(2, decay=0.9)
    tracker.update(np.array([7, 0]), np.array([9, 7]))
    # Tries per informative group: (9 + 1) / (2 + 1/2) = 4 and (7 + 1) / (7 + 1/2) = 16/15; the weights .5, .5 expect
    # C = 12 / (2 + 8/15) = 90/19 = 4.74 informative groups, 2.37 of either. Nothing is owed: 2.37 * 4 = 9.47 groups of
    # task 0 and 2.37 * 16/15 = 2.53 of task 1.
    sampler = make(tracker=tracker)
    launches = sampler.ask()
    assert Counter(launches) in ({0: 9, 1: 3}, {0: 10, 1: 2})
    for launch_id, task in enumerate(launches):
        sampler.tell(launch_id, KEPT if task == 1 else FILTERED)
    selection = sampler.select()
    ones = launches.count(1)
    assert selection.launch_ids == [i for i, task in enumerate(launches) if task == 1]
    assert selection.left == []
    # Half of what was trained on was due to task 0, which got nothing.
    assert selection.owed_K.tolist() == [ones / 2, -ones / 2]
    assert selection.target_share_K.tolist() == [0.5, 0.5]


def wanted(sampler):
    return sampler._wanted_K(sampler._tries_K()).tolist()


def test_what_is_owed_is_made_up_for():
    # Nothing known: 2 tries for each; 3 informative groups of each are expected. Owed 2: 5 and max(1, 1.5).
    assert wanted(make(owed=[2.0, -2.0])) == [5.0, 1.5]
    assert Counter(make(owed=[2.0, -2.0]).ask())[0] in (9, 10)


def test_a_task_that_is_far_ahead_is_still_generated():
    assert wanted(make(owed=[6.0, -6.0])) == [9.0, 1.5]


def test_without_the_ratio_groups_are_generated_at_the_weights_and_nothing_is_owed():
    sampler = make(weights=(0.75, 0.25), owed=[6.0, -6.0], ratio=False)
    launches = sampler.ask()
    assert Counter(launches) == {0: 9, 1: 3}
    for launch_id in range(12):
        sampler.tell(launch_id, KEPT)
    assert sampler.select().owed_K is None


def test_where_nothing_is_filtered_the_cumulated_shares_are_within_a_group_of_the_weights():
    weights = (0.43, 0.11, 0.46)
    subject = controller(weights)
    trained_K = np.zeros(3)
    for _ in range(200):
        trained_K += run(subject, lambda task: KEPT).chosen_K
        assert np.abs(trained_K - trained_K.sum() * np.array(weights)).max() < 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_a_filter_the_debts_stay_small_and_the_shares_come_to_the_weights(seed):
    weights, keeps = np.array([0.43, 0.11, 0.46]), (0.3, 0.7, 0.55)
    subject, rng = controller(weights, budget=32, seed=seed), np.random.default_rng([seed, 1])
    trained_K, informative, distances = np.zeros(3), 0, []
    for _ in range(500):
        selection = run(subject, lambda task: KEPT if rng.random() < keeps[task] else FILTERED)
        trained_K += selection.chosen_K
        informative += int((selection.finished_K - selection.filtered_K).sum())
        distances.append(np.abs(trained_K - trained_K.sum() * weights).max())
    assert trained_K.sum() == informative
    # The debt is what one step leaves: a binomial of some 20 groups at .3 has a deviation of 2.
    assert np.mean(distances) < 4 and max(distances) < 16
    assert np.abs(trained_K / trained_K.sum() - weights).max() < 0.002


def test_a_hopeless_task_takes_no_more_than_its_weight_and_is_repaid_when_it_wakes():
    subject, rng = controller((0.5, 0.25, 0.25)), np.random.default_rng(0)
    hopeless = True

    def answer(task):
        return FILTERED if (task == 0 and hopeless) or rng.random() < 0.5 else KEPT

    for _ in range(60):
        selection = run(subject, answer)
    assert subject._tracker.idle_K.tolist() == [True, False, False]
    launched, trained_K = Counter(), np.zeros(3)
    for _ in range(50):
        selection = run(subject, answer)
        launched.update(np.repeat(np.arange(3), selection.launched_K).tolist())
        trained_K += selection.chosen_K
    assert launched[0] / launched.total() < 0.5
    assert trained_K[1] / trained_K.sum() == pytest.approx(0.5, abs=0.02)
    assert subject.state_dict()["owed"][0] == 0
    hopeless = False
    trained_K[:] = 0
    for _ in range(100):
        trained_K += run(subject, answer).chosen_K
    assert trained_K / trained_K.sum() == pytest.approx([0.5, 0.25, 0.25], abs=0.02)


def test_a_hopeless_task_that_goes_idle_is_generated_at_its_weight():
    """While it was not idle yet, the others came ahead of it by as much as is allowed."""
    subject = controller((0.25, 0.25, 0.5), budget=16, inflate=False)
    launched_K = np.zeros(3)
    for number in range(80):
        selection = run(subject, lambda task: FILTERED if task == 0 else KEPT)
        if number >= 40:
            launched_K += selection.launched_K
    assert launched_K.tolist() == pytest.approx([160, 160, 320], abs=1)


def test_of_a_task_that_goes_idle_the_others_are_not_ahead_any_more():
    tracker = AcceptanceTracker(3, decay=0.9)
    tracker.update(np.array([20, 0, 0]), np.array([20, 1, 1]))
    sampler = make(weights=(0.5, 0.25, 0.25), tracker=tracker, owed=[6.0, -6.0, -4.0])
    launches = sampler.ask()
    for launch_id, task in enumerate(launches):
        sampler.tell(launch_id, KEPT if task else FILTERED)
    idle, *owed = sampler.select().owed_K.tolist()
    # Ahead of task 0 by five each, on average; by one of each other. Half of what is trained on is due to either.
    trained = 12 - launches.count(0)
    assert idle == 0
    assert owed == pytest.approx([-1 + trained / 2 - launches.count(1), 1 + trained / 2 - launches.count(2)])


def test_a_step_in_which_everything_fails_is_survived():
    subject = controller((0.5, 0.5))
    selection = run(subject, lambda task: FAILED_GROUP)
    assert selection.launch_ids == [] and selection.quota_K.tolist() == [0, 0]
    assert subject.metrics()["target_share"] == {"t0": 0.5, "t1": 0.5}
    assert subject.state_dict()["owed"] == [0.0, 0.0]


def test_residual_weights_leave_only_a_missing_task_owed():
    config = MTGRPOConfig(
        weights=FixedSettings([0.5, 0.25, 0.25]), sampler=BudgetSettings(), loss_weighting="residual", seed=1
    )
    subject = TaskController(["a", "b", "c"], 8, config)
    selection = run(subject, lambda task: FILTERED if task == 0 else KEPT)
    missing, *others = subject.state_dict()["owed"]
    assert missing == pytest.approx(len(selection.launch_ids) / 2) and others == [0.0, 0.0]


def test_what_a_cut_weight_takes_from_a_task_stays_owed():
    config = MTGRPOConfig(
        weights=FixedSettings([0.75, 0.25]),
        sampler=BudgetSettings(),
        loss_weighting="residual",
        max_loss_weight=1.0,
        seed=1,
    )
    subject, kept = TaskController(["a", "b"], 8, config), iter([KEPT])
    selection = run(subject, lambda task: KEPT if task else next(kept, FILTERED))
    due = 0.75 * len(selection.launch_ids)
    assert selection.chosen_K[0] == 1 < due
    assert subject.state_dict()["owed"] == [pytest.approx(due - 1), 0.0]


def test_costs_are_counted_by_task_and_over_the_run():
    subject = controller((0.75, 0.25), budget=8)
    first = run(subject, lambda task: KEPT if task == 0 else FILTERED)
    zeros, ones = (int(count) for count in first.launched_K)
    logged = subject.metrics()
    assert logged["informative"] == logged["trained"] == {"t0": zeros, "t1": 0.0}
    assert logged["discarded"] == logged["carried"] == {"t0": 0.0, "t1": 0.0}
    assert logged["generated_rollouts"] == {"t0": 8 * zeros, "t1": 8 * ones}
    assert logged["generated_tokens"] == {"t0": 80 * zeros, "t1": 40 * ones}
    assert logged["trained_tokens"] == {"t0": 80 * zeros, "t1": 0.0}
    assert subject.totals() == {
        "total_rollouts": 64,
        "total_tokens": 80 * zeros + 40 * ones,
        "trained_over_informative": 1.0,
        "age": 0.0,
    }
    run(subject, lambda task: KEPT)
    assert subject.totals()["total_rollouts"] == 128


def test_debts_and_totals_survive_a_checkpoint():
    rng = np.random.default_rng(5)
    subject = controller((0.6, 0.4), seed=3)
    for _ in range(5):
        run(subject, lambda task: KEPT if rng.random() < 0.4 else FILTERED)
    resumed = controller((0.6, 0.4), seed=3)
    resumed.load_state_dict(json.loads(json.dumps(subject.state_dict())))
    assert resumed.state_dict() == subject.state_dict()
    assert any(subject.state_dict()["owed"])
    assert resumed.begin_step().ask() == subject.begin_step().ask()


def test_groups_cannot_be_carried_into_a_budget():
    with pytest.raises(ValueError, match="schedule=budget begins every step with nothing"):
        TaskController(["a"], 4, MTGRPOConfig(sampler=BudgetSettings()), carries_over=True).begin_step()


def test_a_budget_has_bounds_as_other_schedules():
    with pytest.raises(SettingError, match="max_inflation"):
        BudgetSettings(max_inflation=0.5)


@settings(deadline=None, max_examples=200)
@given(
    raw=st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda w: sum(w) > 1e-3),
    budget=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    ratio=st.booleans(),
    failed=st.sampled_from([0.0, 0.1, 1.0]),
    keeps=st.lists(st.floats(0, 1), min_size=8, max_size=8),
)
def test_invariants_over_steps(raw, budget, seed, ratio, failed, keeps):
    weights = (np.array(raw) / sum(raw)).tolist()
    subject, rng = controller(weights, budget=budget, seed=seed, ratio=ratio), np.random.default_rng(seed)

    def answer(task):
        if rng.random() < failed:
            return FAILED_GROUP
        return KEPT if rng.random() < keeps[task] else FILTERED

    for _ in range(6):
        selection = run(subject, answer)
        assert selection.launched_K.sum() == budget
        assert selection.rounds == 1
        assert len(selection.launch_ids) == (selection.finished_K - selection.filtered_K).sum()
        assert selection.quota_K.sum() == len(selection.launch_ids)
        assert selection.target_share_K.sum() == pytest.approx(1)
        owed_K = np.array(subject.state_dict()["owed"])
        assert np.abs(owed_K).max() <= budget / 2
        if not ratio:
            assert not owed_K.any()


def test_a_task_without_weight_is_not_generated_to_pay_a_debt_and_then_owes_none():
    sampler = make(weights=(0.0, 1.0), owed=(6.0, -6.0), ratio=True)
    assert set(sampler.ask()) == {1}
    for launch_id in range(12):
        sampler.tell(launch_id, KEPT)
    assert sampler.select().owed_K.tolist() == [0.0, 0.0]


def test_of_a_task_that_loses_its_weight_the_others_are_not_ahead_any_more():
    """Ahead of it by 9 and 1, and so 4 of the other: that is paid, and not six and two of either."""
    assert wanted(make(weights=(0.0, 0.5, 0.5), owed=(10.0, -9.0, -1.0))) == [0.0, 1.5, 7.0]


@pytest.mark.parametrize(
    ("owed", "left"),
    [
        ((10.0, -9.0, -1.0), [0.0, -4.0, 4.0]),
        ((-6.0, 5.0, 1.0), [0.0, 2.0, -2.0]),  # It was ahead of them.
        ((3.0, 0.0, 5.0), [0.0, 0.0, 5.0]),  # With residual weights no task is ahead.
    ],
)
def test_what_is_left_owed_without_a_task(owed, left):
    given_up_K = np.array([True, False, False])
    assert owed_without(given_up_K, np.array(owed), np.array([0.0, 0.5, 0.5])).tolist() == left
