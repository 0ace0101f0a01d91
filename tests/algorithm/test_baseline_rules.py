"""The rules `dump`, `gdro` and `proportional`, and the least share of a task, against numbers worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from rule_examples import example_settings

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.settings import (
    RULES,
    FixedSettings,
    MTGRPOConfig,
    ProportionalSettings,
    RoundsSettings,
    SequentialSettings,
    SettingError,
)
from mt_grpo_recipe.algorithm.task_weights import (
    RobustWeights,
    Signal,
    UpperConfidenceWeights,
    make_rule,
    with_min_share,
)
from mt_grpo_recipe.algorithm.tracked_accuracy import AccuracyTracker


def step(rule, accuracy_K, rollouts_K=(0, 0), signal_K=(0, 0)):
    rule.observe(np.array(accuracy_K, dtype=np.float64), np.array(rollouts_K, dtype=np.float64))
    rule.update(np.array(accuracy_K, dtype=np.float64), np.array(signal_K, dtype=np.float64))


def test_dump_by_hand():
    rule = UpperConfidenceWeights(2, temperature=0.5, window=8)
    assert rule.reads is Signal.ADVANTAGE
    assert rule.weights_K.tolist() == [0.5, 0.5]
    step(rule, [0.5, 0.5], [8, 4], [0.8, 0.4])
    # n = 12: bonus sqrt(2 ln 13 / 9) = sqrt(5.1298987 / 9) = 0.7549760, sqrt(5.1298987 / 5) = 1.0129066
    # UCB 1.5549760, 1.4129066; over tau 0.5 they differ by 0.2841388: z_0 = 1 / (1 + e^-0.2841388) = 0.5705606
    assert rule.weights_K == pytest.approx([0.5705606, 0.4294394], abs=1e-7)


def test_dump_averages_the_latest_rollouts_alone():
    rule = UpperConfidenceWeights(2, temperature=0.5, window=8)
    for signal in (0.8, 0.2, 0.4):
        step(rule, [0.5, math.nan], [6, 0], [signal, 0.0])
    # Of the window of 8, the last batch is 6 rollouts and the one before it 2: (6 * 0.4 + 2 * 0.2) / 8 = 0.35
    assert rule.state_dict() == {"count": [18, 0], "batches": [[[2, 0.2], [6, 0.4]], []]}
    # n = 18: bonus sqrt(2 ln 19 / 19) = 0.5567234 and sqrt(2 ln 19) = 2.4267010 for the task that no batch held
    # (0.35 + 0.5567234 - 2.4267010) / 0.5 = -3.0399552: z_0 = 1 / (1 + e^3.0399552) = 0.0456531
    assert rule.weights_K == pytest.approx([0.0456531, 0.9543469], abs=1e-6)


def test_a_batch_larger_than_the_window_fills_it():
    rule = UpperConfidenceWeights(1, temperature=0.5, window=8)
    step(rule, [0.5], [6], [0.8])
    step(rule, [0.5], [12], [0.3])
    assert rule.state_dict() == {"count": [18], "batches": [[[8, 0.3]]]}


def test_gdro_by_hand():
    rule = RobustWeights(2, sharpness=0.5, loss_decay=0.75, exploration=0.1)
    assert rule.weights_K.tolist() == [0.5, 0.5]
    step(rule, [0.2, 0.6])
    # First losses: 2 * 0.8 = 1.6, 2 * 0.4 = 0.8; eta S differ by 0.4: softmax 1 / (1 + e^-0.4) = 0.5986877
    # 0.9 * 0.5986877 + 0.05 = 0.5888189
    assert rule.weights_K == pytest.approx([0.5888189, 0.4111811], abs=1e-7)
    step(rule, [1.0, math.nan])
    # S_0 = 0.75 * 1.6 + 0.25 * 0 = 1.2; the other task was not seen and keeps 0.8: 1 / (1 + e^-0.2) = 0.5498340
    assert rule.weights_K == pytest.approx([0.5448506, 0.4551494], abs=1e-7)


def test_under_gdro_a_task_never_seen_has_the_mean_loss_of_the_others():
    rule = RobustWeights(3, sharpness=0.5, loss_decay=0.75, exploration=0.0)
    step(rule, [0.2, 0.6, math.nan])
    # Losses 2.4, 1.2 and 1.8 for the last: e^0.3, e^-0.3 and 1 over their sum 3.0906770
    assert rule.weights_K == pytest.approx([0.4367521, 0.2396944, 0.3235535], abs=1e-6)


def test_gdro_does_not_take_an_old_accuracy_for_a_new_one():
    """The controller keeps the accuracy last seen of a task that a step did not sample."""
    rule = RobustWeights(2, sharpness=0.5, loss_decay=0.75, exploration=0.0)
    step(rule, [0.2, 0.6])
    rule.observe(np.array([0.2, math.nan]), np.zeros(2))
    rule.update(np.array([0.2, 0.0]), np.zeros(2))
    assert rule.state_dict()["loss"] == pytest.approx([1.6, 0.8])


def test_proportional_takes_the_rows():
    controller = TaskController(["a", "b"], 8, MTGRPOConfig(weights=ProportionalSettings()), rows_K=[300, 100])
    assert controller.weights_K.tolist() == [0.75, 0.25]
    with pytest.raises(ValueError, match="needs the rows of data"):
        make_rule(ProportionalSettings(), ["a", "b"], AccuracyTracker(2))


@pytest.mark.parametrize(
    "make",
    [lambda: UpperConfidenceWeights(3, 0.1, 20), lambda: RobustWeights(3, 0.65, 0.88, 0.01)],
    ids=["dump", "gdro"],
)
def test_restored_rules_go_on_alike(make):
    rule, restored = make(), make()
    rng = np.random.default_rng(0)

    def random_step(*rules):
        accuracy_K = np.where(rng.random(3) < 0.3, math.nan, rng.random(3))
        rollouts_K, signal_K = rng.integers(0, 9, 3), rng.random(3)
        for each in rules:
            step(each, accuracy_K, rollouts_K, signal_K)

    for _ in range(5):
        random_step(rule)
    restored.load_state_dict(json.loads(json.dumps(rule.state_dict())))
    for _ in range(5):
        random_step(rule, restored)
        assert restored.state_dict() == rule.state_dict()
        assert restored.weights_K.tolist() == rule.weights_K.tolist()


# ------------------------------------------------------------------ the least share


def test_the_least_share_by_hand():
    # 0.1 + (1 - 3 * 0.1) * z
    assert with_min_share(np.array([1.0, 0.0, 0.0]), 0.1) == pytest.approx([0.8, 0.1, 0.1])
    assert with_min_share(np.array([0.5, 0.3, 0.2]), 0.0).tolist() == [0.5, 0.3, 0.2]
    assert with_min_share(np.array([0.5, 0.3, 0.2]), 1 / 3) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_keeps_the_least_share(rule):
    settings = example_settings(rule, ["a", "b", "c"], min_share=0.2)
    controller = TaskController(["a", "b", "c"], 8, MTGRPOConfig(weights=settings), rows_K=[98, 1, 1])
    assert min(controller.weights_K) >= 0.2 - 1e-12 and sum(controller.weights_K) == pytest.approx(1)
    assert example_settings(rule, ["a", "b", "c"]).min_share == 0


def test_the_batch_is_drawn_with_the_least_share():
    settings = SequentialSettings(stages=[["a"], ["b"]], stage_steps=5, min_share=0.25)
    config = MTGRPOConfig(weights=settings, sampler=RoundsSettings(quota="rounded"))
    controller = TaskController(["a", "b"], 8, config)
    assert controller.begin_step().quota_K.tolist() == [6, 2]
    assert controller.metrics()["weight"] == {"a": 0.75, "b": 0.25}


def test_least_shares_of_more_than_the_batch_are_refused():
    with pytest.raises(SettingError, match=r"weights\.min_share=0\.4 cannot be used: it must be at most 1/3"):
        TaskController(["a", "b", "c"], 8, MTGRPOConfig(weights=FixedSettings(min_share=0.4)))
    with pytest.raises(SettingError, match=r"min_share=0\.4"):
        MTGRPOConfig(weights=FixedSettings(min_share=0.4), tasks=["a", "b", "c"])
