"""The rule `targets`: what is met, what is out of reach, and where the weight goes, in numbers worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig, SettingError, TargetsSettings
from mt_grpo_recipe.algorithm.task_weights import TargetWeights
from mt_grpo_recipe.algorithm.task_weights.targets import pressed_weights
from mt_grpo_recipe.algorithm.tracked_accuracy import AccuracyTracker

TASKS = ["a", "b"]
MANY = 10_000
"""Groups per step that leave next to no doubt about an accuracy."""


class Run:
    """A rule, and steps that bring what they are told to."""

    def __init__(self, tasks=TASKS, **settings):
        self.tracked = AccuracyTracker(len(tasks))
        self.rule = TargetWeights(TargetsSettings(**settings), tasks, self.tracked)

    def step(self, *accuracies, groups=MANY, failing=()):
        """One step: mean accuracy of each task's groups, which are all right or all wrong; None for no group."""
        mean_K = np.array([0.0 if a is None else a for a in accuracies])
        count_K = np.array([0 if a is None else groups for a in accuracies])
        # x is 0 or 1: the sum of squares is the sum.
        self.tracked.update(count_K, count_K * mean_K, count_K * mean_K)
        accuracy_K = np.array([math.nan if task in failing else mean for task, mean in enumerate(mean_K)])
        self.rule.update(accuracy_K, np.zeros(len(mean_K)))
        return self.rule.weights_K

    def logged(self, name):
        return {metric.key: values_K for metric, values_K in self.rule.readings().items()}[name].tolist()


def test_weights_of_pressures_by_hand():
    # u = (1/2, 1/2, 0), y = (1, 0, 0): (1.5, 0.5, 0) / 2
    weights_K = pressed_weights(np.array([1.0, 0.0, 0.0]), np.array([True, True, False]))
    assert weights_K.tolist() == [0.75, 0.25, 0.0]


def test_two_steps_of_the_controller_by_hand():
    run = Run(targets={"a": 0.7, "b": 0.6}, integral_gain=0.5, proportional_gain=2.0)
    assert run.rule.weights_K.tolist() == [0.5, 0.5]
    # Short by 0.4 and 0.1: I = 0.5 e = 0.2, 0.05; y = 2 e + I = 1.0, 0.25; z = (0.5 + y) / 2.25
    assert run.step(0.3, 0.5) == pytest.approx([1.5 / 2.25, 0.75 / 2.25])
    # The same again: the means stay, I = 0.4, 0.1; y = 1.2, 0.3; z = (0.5 + y) / 2.5
    assert run.step(0.3, 0.5) == pytest.approx([1.7 / 2.5, 0.8 / 2.5])
    assert run.logged("short_of") == pytest.approx([0.4, 0.1]) and run.logged("unmet") == [1, 1]


def test_the_past_presses_no_more_than_its_limit():
    run = Run(targets={"a": 0.9}, integral_gain=1.0, proportional_gain=0.0)
    for _ in range(8):
        run.step(0.4, 0.5)
    # 8 * 0.5 is cut to 2; a alone is open: (1 + 2) / 3
    assert run.rule.state_dict()["integral"] == [2.0, 0.0]
    assert run.rule.weights_K == pytest.approx([1.0, 0.0])


def test_a_task_that_is_done_has_no_weight_and_no_memory_of_its_shortfall():
    run = Run(targets={"a": 0.7, "b": 0.6})
    run.step(0.3, 0.5)
    for _ in range(30):
        run.step(0.9, 0.5)
    assert run.rule.weights_K.tolist() == [0.0, 1.0]
    assert run.rule.state_dict()["integral"][0] == 0 and run.logged("unmet") == [0, 1]
    assert run.logged("short_of")[0] < 0


def test_once_all_is_met_all_tasks_share_evenly():
    run = Run(targets={"a": 0.3})
    assert run.step(0.5, 0.1).tolist() == [0.5, 0.5]


def test_noise_neither_closes_nor_opens_a_constraint():
    run = Run(targets={"a": 0.5})
    # 100 groups: error 0.05, interval 0.082. The mean is above, its lower end is not.
    run.step(0.55, None, groups=100)
    assert run.logged("unmet")[0] == 1
    run.step(0.95, None, groups=200)
    # Mean (0.9 * 55 + 190) / 290 = 0.826: surely above.
    assert run.logged("unmet")[0] == 0
    for _ in range(40):
        run.step(0.51, None, groups=100)
    # The mean is down to 0.516, not surely above, and not below: it stays met.
    assert run.tracked.mean_K[0] - 1.64 * run.tracked.error_K[0] < 0.5 < run.tracked.mean_K[0]
    assert run.logged("unmet")[0] == 0
    for _ in range(20):
        run.step(0.4, None, groups=100)
    assert run.logged("unmet")[0] == 1


def test_a_task_that_is_not_sampled_is_not_believed_for_ever():
    run = Run(targets={"a": 0.5, "b": 0.5})
    run.step(0.9, 0.1, groups=100)
    assert run.logged("unmet") == [0, 1]
    # 100 * 0.9^43 = 1.08 groups are left after 43 steps, 0.97 after 44.
    for _ in range(43):
        run.step(None, 0.1, groups=100)
    assert run.logged("unmet") == [0, 1] and run.rule.weights_K[0] == 0
    run.step(None, 0.1, groups=100)
    assert run.logged("unmet") == [1, 1] and run.rule.weights_K[0] > 0


@pytest.mark.parametrize("floor", [0.28, "start - 0.02", "start-.02"])
def test_a_floor_is_met_at_the_start_and_pressed_once_it_is_lost(floor):
    run = Run(targets={"a": 0.9}, floors={"b": floor}, integral_gain=0.5, proportional_gain=2.0)
    run.rule.start(np.array([0.1, 0.3]))
    run.step(0.1, 0.29, groups=100)
    assert run.logged("unmet") == [1, 0] and run.rule.weights_K.tolist() == [1.0, 0.0]
    run.step(0.1, 0.21, groups=100)
    # Mean (0.9 * 29 + 21) / 190 = 0.2478947 < 0.28: e = 0.0321053, y = 2.5 e = 0.0802632
    # of a: e = 0.8, I = 0.8, y = 1.6 + 0.8 = 2.4; z_b = (0.5 + 0.0802632) / (1 + 2.4 + 0.0802632)
    assert run.logged("unmet") == [1, 1]
    assert run.rule.weights_K[1] == pytest.approx(0.5802632 / 3.4802632, rel=1e-6)


def test_a_floor_above_the_accuracy_at_the_start_is_not_met():
    run = Run(floors={"a": 0.5})
    run.rule.start(np.array([0.4, math.nan]))
    run.step(0.45, 0.5)
    assert run.logged("unmet")[0] == 1


def test_without_a_validation_floors_count_from_the_first_steps():
    run = Run(targets={"a": 0.9}, floors={"b": "start - 0.1"})
    for _ in range(9):
        run.step(0.1, 0.5)
    assert run.rule.state_dict()["constraints"]["start"] == [None, None]
    assert run.logged("unmet") == [1, 1] and math.isnan(run.logged("short_of")[1])
    run.step(0.1, 0.5)
    assert run.rule.state_dict()["constraints"]["start"] == pytest.approx([0.1, 0.5])
    assert run.logged("unmet") == [1, 0] and run.logged("short_of")[1] == pytest.approx(-0.1)


def test_the_first_validation_is_the_start_and_no_later_one():
    run = Run(floors={"a": "start", "b": "start"})
    run.rule.start(np.array([0.4, math.nan]))
    run.rule.start(np.array([0.6, 0.2]))
    assert run.rule.state_dict()["constraints"]["start"] == [0.4, 0.2]


def test_the_tolerance_by_hand():
    run = Run(["a", "b", "c"], tolerance=0.1, integral_gain=0.5, proportional_gain=2.0)
    # Average 0.4, bound 0.3: a is short by 0.2, b surely above by 0.1, c at the average.
    weights_K = run.step(0.1, 0.7, 0.4)
    assert run.logged("short_of") == pytest.approx([0.2, -0.4, -0.1])
    # a alone is open, with the pressure 2 * 0.2 + 0.5 * 0.2; the others have what is left, which is nothing.
    assert weights_K.tolist() == [1.0, 0.0, 0.0]


def test_of_several_bounds_the_highest_counts():
    run = Run(targets={"a": 0.5}, floors={"a": 0.8}, tolerance=0.0)
    run.step(0.6, 0.7)
    # Target 0.5 is met; the average of 0.65 and the floor of 0.8 are not.
    assert run.logged("short_of")[0] == pytest.approx(0.2)
    assert run.rule.state_dict()["constraints"]["met"] == [[True, False], [False, False], [False, True]]


def test_a_target_that_is_out_of_reach_is_named_and_keeps_an_even_share():
    gains = {"integral_gain": 1.0, "proportional_gain": 0.0}
    run = Run(["a", "b", "c"], targets={"a": 0.95, "b": 0.6}, floors={"c": 0.2}, patience=50, **gains)
    run.rule.start(np.array([0.3, 0.3, 0.3]))
    said = []
    for number in range(1, 101):
        weights_K = run.step(0.4, 0.3 + 0.002 * number, 0.3)
        said += [(number, notice) for notice in run.rule.notices]
    # The average counts from step 9 on; 50 steps later nothing has come.
    assert [number for number, _ in said] == [59]
    assert said[0][1] == (
        "Task 'a' has made no progress toward its target 0.950 since step 9: its accuracy is 0.400 +- 0.001, 0.550 "
        "short. Until it makes some, it gets an even share of the batch at most. Lower the bound, or raise "
        "mt_grpo.weights.patience."
    )
    # u = (1/2, 1/2, 0); none presses on a, and b's integral is at its limit of 2: z = (u + y) / (1 + 2).
    assert weights_K == pytest.approx([0.5 / 3, 2.5 / 3, 0.0])
    assert run.logged("out_of_reach") == [1, 0, 0]
    # b has been met since; nothing else is left to do, so all are trained.
    for _ in range(60):
        weights_K = run.step(0.4, 0.9, 0.3)
    assert weights_K == pytest.approx([1 / 3] * 3)


def test_progress_brings_a_task_back():
    run = Run(targets={"a": 0.9, "b": 0.9}, patience=5)
    for number in range(30):
        run.step(0.4, 0.1 + 0.02 * number)
    assert run.logged("out_of_reach") == [1, 0]
    for _ in range(4):
        run.step(0.8, 0.7)
    assert run.logged("out_of_reach")[0] == 0 and run.rule.weights_K[0] > 0


def test_the_message_names_the_bound_that_binds():
    tolerant = Run(tolerance=0.1, patience=1)
    for _ in range(20):
        tolerant.step(0.1, 0.7)
    assert "bound 0.300 (the average less the tolerance of 0.1)" in tolerant.rule._out_of_reach(0)
    falling = Run(floors={"a": 0.5}, patience=1)
    falling.step(0.48, 0.5, groups=100)
    said = falling.rule._out_of_reach(0)
    assert "toward its floor 0.500 since" in said and "its accuracy is 0.480 +- 0.050, 0.020 short" in said


def test_a_task_that_is_above_its_bound_but_not_surely_is_not_out_of_reach():
    run = Run(targets={"a": 0.5, "b": 0.9}, patience=5)
    for _ in range(100):
        run.step(0.51, 0.4, groups=20)
    assert run.logged("unmet") == [1, 1] and run.logged("out_of_reach") == [0, 1]
    # a is above its bound, so there is no pressure on it; b keeps its even share.
    assert run.rule.weights_K.tolist() == [0.5, 0.5]


def test_a_task_that_has_less_than_half_an_even_share_is_not_judged():
    run = Run(targets={"a": 1.0, "b": 0.5}, patience=20, integral_gain=0.1, proportional_gain=50.0)
    for number in range(100):
        # a comes nearer all the time and holds nearly all of the weight.
        run.step(0.009 * number, 0.48)
    assert run.rule.weights_K[1] < 0.25 and run.logged("out_of_reach") == [0, 0]


def test_a_task_whose_groups_all_fail_waits():
    run = Run(targets={"a": 0.9, "b": 0.9}, patience=5)
    run.step(0.4, 0.4)
    before = run.rule.state_dict()["integral"][0]
    for number in range(30):
        run.step(None, 0.4 + 0.015 * number, failing=[0])
    assert run.rule.state_dict()["integral"][0] == before and run.logged("out_of_reach") == [0, 0]


def test_what_was_said_is_not_said_again():
    run = Run(targets={"a": 0.9}, patience=1)
    while not run.rule.notices:
        run.step(0.4, 0.4)
    run.rule.skip()
    assert run.rule.notices == []


def test_the_run_is_finished_once_all_is_met_and_stays_so():
    asked = {"targets": {"a": 0.5}, "floors": {"b": "start - 0.1"}}
    run, endless = Run(**asked, stop_when_met=True), Run(**asked)
    for each in (run, endless):
        each.rule.start(np.array([0.2, 0.4]))
        each.step(0.2, 0.4)
        assert not each.rule.finished
        for _ in range(20):
            each.step(0.9, 0.4)
    assert run.rule.finished and not endless.rule.finished
    for _ in range(30):
        run.step(0.1, 0.4)
    assert run.rule.finished


def test_more_asked_of_a_resumed_run_is_not_met():
    asked = {"targets": {"a": 0.5}, "floors": {"b": 0.3}, "stop_when_met": True}
    run = Run(**asked)
    for _ in range(3):
        run.step(0.9, 0.4)
    saved = json.loads(json.dumps(run.rule.state_dict()))
    same, more = Run(**asked), Run(**asked | {"targets": {"a": 0.95}})
    for resumed in (same, more):
        resumed.rule.load_state_dict(saved)
    assert same.rule.finished and not more.rule.finished
    assert more.rule.state_dict()["constraints"]["met"] == [[False, False], [False, True], [False, False]]


def test_a_resumed_rule_goes_on_exactly_alike():
    settings = {
        "targets": {"a": 0.6, "b": 0.95},
        "floors": {"c": "start - 0.05"},
        "tolerance": 0.3,
        "patience": 5,
    }
    tasks = ["a", "b", "c"]
    run, resumed = Run(tasks, **settings), Run(tasks, **settings)
    rng = np.random.default_rng(0)

    def random_step(number, *runs):
        accuracies = [0.3 + 0.01 * number, 0.4, None if rng.random() < 0.5 else 0.5 + 0.1 * rng.normal()]
        for each in runs:
            each.step(*accuracies, groups=6)

    for number in range(25):
        random_step(number, run)
    resumed.tracked.load_state_dict(json.loads(json.dumps(run.tracked.state_dict())))
    resumed.rule.load_state_dict(json.loads(json.dumps(run.rule.state_dict())))
    assert run.logged("out_of_reach") == [0, 1, 0]
    for number in range(25, 60):
        random_step(number, run, resumed)
        assert resumed.rule.state_dict() == run.rule.state_dict()
        assert resumed.rule.weights_K.tolist() == run.rule.weights_K.tolist()
        assert resumed.rule.notices == run.rule.notices


def test_tasks_that_do_not_exist_are_refused():
    with pytest.raises(SettingError, match=r"weights\.targets names \['c'\]; the tasks of this run are \['a', 'b'\]"):
        Run(targets={"c": 0.5})
    with pytest.raises(SettingError, match=r"weights\.floors names \['c'\]"):
        Run(floors={"c": "start"})


def test_a_validation_counts_as_the_start_until_the_first_step():
    config = MTGRPOConfig(weights=TargetsSettings(floors={"a": "start"}))
    controller = TaskController(TASKS, 4, config)
    controller.start({"a": 0.3, "held-out": 0.9})
    controller.begin_step()
    controller.start({"a": 0.5, "b": 0.6})
    assert controller.state_dict()["weights"]["constraints"]["start"] == [0.3, None]


def test_a_step_without_a_gradient_because_all_is_right_can_end_the_run():
    run = Run(targets={"a": 0.5, "b": 0.5}, stop_when_met=True)
    run.step(0.3, 0.3)
    weights_K = run.rule.weights_K
    for _ in range(30):
        run.tracked.update(np.array([MANY, MANY]), np.array([MANY, MANY]), np.array([MANY, MANY]))
        run.rule.skip()
    assert run.rule.finished and run.rule.weights_K.tolist() == weights_K.tolist()
