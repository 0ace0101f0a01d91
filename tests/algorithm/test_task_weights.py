"""The rules that move z, against numbers worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.settings import SequentialSettings
from mt_grpo_recipe.algorithm.settings.bounds import SettingError
from mt_grpo_recipe.algorithm.task_weights import (
    FixedWeights,
    ImprovementAwareWeights,
    RegularizedWeights,
    SelfEvolvingWeights,
    SequentialWeights,
    Signal,
    fill_unmeasured,
    improvement_scores,
    logit_gradient,
    softmax,
)

NO_IMPROVEMENT = np.zeros(2)


def test_softmax_of_logarithms_gives_their_shares():
    # exp of the logits is 1, 2, 5; their sum is 8.
    assert softmax(np.array([0.0, math.log(2), math.log(5)])) == pytest.approx([1 / 8, 2 / 8, 5 / 8])


def test_softmax_stands_large_logits():
    assert softmax(np.array([1000.0, 1000.0 + math.log(3)])) == pytest.approx([1 / 4, 3 / 4])


def test_scores_clip_the_improvement_on_both_sides_and_add_the_accuracy():
    # 0.3 -> 0.1, + 0.2 * 0.5 = 0.2 | -0.05 stays, + 0.2 * 0.2 = -0.01 | -0.4 -> -0.1, + 0.2 * 0.8 = 0.06
    scores_K = improvement_scores(np.array([0.3, -0.05, -0.4]), np.array([0.5, 0.2, 0.8]), 0.1, 0.2)
    assert scores_K == pytest.approx([0.2, -0.01, 0.06])


def test_logit_gradient():
    # mean score: 0.5 * 0.2 - 0.3 * 0.01 + 0.2 * 0.06 = 0.1 - 0.003 + 0.012 = 0.109
    # g: 0.5 * 0.091 = 0.0455 | 0.3 * -0.119 = -0.0357 | 0.2 * -0.049 = -0.0098; they sum to zero
    gradient_K = logit_gradient(np.array([0.5, 0.3, 0.2]), np.array([0.2, -0.01, 0.06]))
    assert gradient_K == pytest.approx([0.0455, -0.0357, -0.0098])


def test_a_task_without_a_score_has_no_gradient():
    weights_K = np.array([0.5, 0.3, 0.2])
    scores_K = fill_unmeasured(weights_K, np.array([0.2, math.nan, -0.15]))
    # (0.5 * 0.2 - 0.2 * 0.15) / 0.7 = 0.1
    assert scores_K == pytest.approx([0.2, 0.1, -0.15])
    assert logit_gradient(weights_K, scores_K)[1] == pytest.approx(0.0, abs=1e-15)
    assert fill_unmeasured(weights_K, np.full(3, math.nan)).tolist() == [0, 0, 0]


def test_logit_gradient_is_the_derivative_of_the_weighted_score():
    logits_K, scores_K = np.array([0.3, -1.0, 0.7]), np.array([0.2, -0.01, 0.06])
    step = 1e-6
    numeric_K = [
        (softmax(logits_K + step * unit) @ scores_K - softmax(logits_K - step * unit) @ scores_K) / (2 * step)
        for unit in np.eye(3)
    ]
    assert logit_gradient(softmax(logits_K), scores_K) == pytest.approx(numeric_K, abs=1e-9)


def test_first_update_moves_each_logit_by_the_learning_rate():
    rule = ImprovementAwareWeights(2, learning_rate=0.025, weight_decay=0.1, trade_off=1.0, improvement_clip=0.1)
    assert rule.weights_K == pytest.approx([0.5, 0.5])
    # s = J = (0.8, 0.2), mean 0.5, g = 0.5 * (0.3, -0.3) = (0.15, -0.15).
    # First AdamW step: decay of a zero logit is nothing; m_hat = g and v_hat = g^2, so xi = -0.025 * sign(g).
    rule.update(np.array([0.8, 0.2]), NO_IMPROVEMENT)
    assert rule.state_dict()["logits"] == pytest.approx([-0.025, 0.025], rel=1e-6)
    # z_0 = 1 / (1 + e^0.05) = 1 / 2.0512711 = 0.4875026: the weaker task gains.
    assert rule.weights_K == pytest.approx([0.4875026, 0.5124974], abs=1e-7)


def test_second_update_by_hand():
    rule = ImprovementAwareWeights(2, learning_rate=0.025, weight_decay=0.1, trade_off=1.0, improvement_clip=0.1)
    rule.update(np.array([0.8, 0.2]), NO_IMPROVEMENT)
    rule.update(np.array([0.6, 0.4]), NO_IMPROVEMENT)
    # z_0 = 0.4875026, mean = 0.4 + 0.2 z_0 = 0.4975005, g_0 = 0.4875026 * 0.1024995 = 0.0499688
    # m = 0.9 * (0.1 * 0.15) + 0.1 * 0.0499688 = 0.01849688; / (1 - 0.9^2 = 0.19) = 0.0973520
    # v = 0.999 * (0.001 * 0.0225) + 0.001 * 0.0499688^2 = 2.497438e-5; / (1 - 0.999^2 = 0.001999) = 0.01249344
    # m_hat / sqrt(v_hat) = 0.0973520 / 0.1117741 = 0.870971
    # xi_0 = -0.025 * (1 - 0.025 * 0.1) - 0.025 * 0.870971 = -0.0249375 - 0.0217743 = -0.0467118
    assert rule.state_dict()["logits"] == pytest.approx([-0.0467118, 0.0467118], abs=1e-7)


def test_a_task_that_stalls_gains_on_one_that_improves():
    rule = ImprovementAwareWeights(2, 0.025, 0.0, trade_off=0.2, improvement_clip=0.1)
    # Equal accuracies; s = (0.05 + 0.1, 0 + 0.1): the improving task has the larger score and loses weight.
    rule.update(np.array([0.5, 0.5]), np.array([0.05, 0.0]))
    assert rule.weights_K[1] > 0.5


def test_equal_scores_leave_the_weights_alone():
    rule = ImprovementAwareWeights(3, 0.025, 1e-5, trade_off=0.2, improvement_clip=0.1)
    rule.update(np.full(3, 0.4), np.full(3, 0.02))
    assert rule.weights_K == pytest.approx([1 / 3] * 3, abs=1e-12)


def test_regularized_follows_accuracy_alone():
    rule = RegularizedWeights(2, learning_rate=0.025, eta=0.0)
    # s = J: g = (0.15, -0.15) whatever the improvement; first step moves by the learning rate.
    rule.update(np.array([0.8, 0.2]), np.array([-5.0, 5.0]))
    assert rule.state_dict()["logits"] == pytest.approx([-0.025, 0.025], rel=1e-6)
    assert rule.reads is Signal.NONE


def test_regularization_pulls_the_logits_to_zero():
    free, pulled = RegularizedWeights(2, 0.025, 0.0), RegularizedWeights(2, 0.025, 4.0)
    for rule in (free, pulled):
        rule.update(np.array([0.8, 0.2]), NO_IMPROVEMENT)
    for rule in (free, pulled):
        rule.update(np.array([0.8, 0.2]), NO_IMPROVEMENT)
    # Same z after the first step, hence the same gradient in the second; the decay takes 0.025 * 4 = 10 % of -0.025.
    gap = pulled.state_dict()["logits"][0] - free.state_dict()["logits"][0]
    assert gap == pytest.approx(0.0025, rel=1e-6)


def test_fixed_weights_are_normalised_and_never_move():
    rule = FixedWeights(np.array([1.0, 3.0]))
    rule.update(np.array([0.9, 0.1]), np.array([0.1, 0.0]))
    assert rule.weights_K == pytest.approx([0.25, 0.75])


def test_a_restored_rule_moves_exactly_alike():
    arguments = (3, 0.025, 1e-4, 0.3, 0.1)
    rule = ImprovementAwareWeights(*arguments)
    rng = np.random.default_rng(0)
    for _ in range(5):
        rule.update(rng.random(3), rng.normal(size=3))
    restored = ImprovementAwareWeights(*arguments)
    restored.load_state_dict(json.loads(json.dumps(rule.state_dict())))
    for _ in range(5):
        accuracy_K, improvement_K = rng.random(3), rng.normal(size=3)
        rule.update(accuracy_K, improvement_K)
        restored.update(accuracy_K, improvement_K)
        assert restored.state_dict() == rule.state_dict()


def test_a_fresh_state_resets_a_used_rule():
    used, fresh = RegularizedWeights(2, 0.025, 0.0), RegularizedWeights(2, 0.025, 0.0)
    used.update(np.array([0.8, 0.2]), NO_IMPROVEMENT)
    used.load_state_dict(json.loads(json.dumps(fresh.state_dict())))
    for rule in (used, fresh):
        rule.update(np.array([0.1, 0.7]), NO_IMPROVEMENT)
    assert used.state_dict() == fresh.state_dict()


@pytest.mark.parametrize("accuracy", [[0.5, math.inf], [math.nan, -math.inf], [[0.5, 0.5]]])
def test_numbers_that_are_none_are_refused(accuracy):
    with pytest.raises(ValueError, match="finite"):
        RegularizedWeights(2, 0.025, 0.0).update(np.asarray(accuracy), NO_IMPROVEMENT)


def test_self_evolving_weights_by_hand():
    rule = SelfEvolvingWeights(2, alpha=0.5, temperature=0.2)
    assert rule.reads is Signal.ADVANTAGE
    assert rule.weights_K.tolist() == [0.5, 0.5]
    rule.update(np.array([0.9, 0.1]), np.array([0.8, 0.4]))
    # Q = 0.5 * (0.8, 0.4) = (0.4, 0.2); Q / tau = (2, 1); softmax: 1 / (1 + e^-1) = 0.7310586. Accuracy is not read.
    assert rule.weights_K == pytest.approx([0.7310586, 0.2689414], abs=1e-7)
    rule.update(np.zeros(2), np.array([0.0, 0.6]))
    # Q = (0.5 * 0 + 0.5 * 0.4, 0.5 * 0.6 + 0.5 * 0.2) = (0.2, 0.4): the other way round. A task not seen decays.
    assert rule.weights_K == pytest.approx([0.2689414, 0.7310586], abs=1e-7)


@pytest.mark.parametrize(
    ("stages", "words"),
    [([["a"], ["c"]], r"names \['c'\]; the tasks"), ([["a", "b", "a"]], r"names \['a'\] twice")],
)
def test_a_stage_names_tasks_of_the_run_and_each_once(stages, words):
    with pytest.raises(SettingError, match=words):
        SequentialSettings(stages=stages, stage_steps=2).stages_of(["a", "b"])
    assert SequentialSettings(stages=[["a"], ["b", "a"]], stage_steps=2).stages_of(["a", "b"]) == [[0], [1, 0]]


def test_sequential_weights_move_on_and_stay_at_the_last_stage():
    rule = SequentialWeights(3, stages=[[0], [1, 2]], stage_steps=2)
    seen = []
    for _ in range(6):
        seen.append(rule.weights_K.tolist())
        rule.update(np.zeros(3), np.zeros(3))
    assert seen == [[1.0, 0.0, 0.0]] * 2 + [[0.0, 0.5, 0.5]] * 4


@pytest.mark.parametrize(
    "make",
    [lambda: SelfEvolvingWeights(3, 0.3, 0.2), lambda: SequentialWeights(3, [[0], [1], [2]], 4)],
    ids=["sec", "sequential"],
)
def test_restored_curricula_go_on_alike(make):
    rule, restored = make(), make()
    rng = np.random.default_rng(0)
    for _ in range(5):
        rule.update(rng.random(3), rng.random(3))
    restored.load_state_dict(json.loads(json.dumps(rule.state_dict())))
    for _ in range(5):
        signal_K = rng.random(3)
        rule.update(np.zeros(3), signal_K)
        restored.update(np.zeros(3), signal_K)
        assert restored.weights_K.tolist() == rule.weights_K.tolist()
