"""What the paper observes of the methods (arXiv 2602.05547, figures 2, 5, 12), in a transparent toy world.

Three tasks, each with a skill; a rollout is right with probability sigmoid(skill). A group in the batch with some but
not all rollouts right is a gradient: it lifts its task's skill in proportion to its share of the batch, and the clipped
surrogate with it. The hard task starts low and learns slowly.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import GroupResult, Outcome, judge
from mt_grpo_recipe.algorithm.settings import (
    FixedSettings,
    ImprovementAwareSettings,
    MTGRPOConfig,
    RegularizedSettings,
    RoundsSettings,
)

HARD = 2
BATCH, ROLLOUTS = 30, 8
UNFILTERED = RoundsSettings(drop_uninformative=False, ratio=False, quota="stratified")
FILTERED = RoundsSettings(quota="stratified")


@dataclass
class History:
    """One row per step, shape (steps, K)."""

    weight: list = field(default_factory=list)
    share: list = field(default_factory=list)
    """Share of each task among the groups of the batch that carry a gradient."""

    def late(self, name):
        rows = np.asarray(getattr(self, name))
        return rows[len(rows) // 2 :].mean(axis=0)


def train(weights, sampler, steps=300, seed=0):
    """Train with a rule and a sampler."""
    config = MTGRPOConfig(seed=seed, weights=weights, sampler=sampler)
    controller = TaskController(["easy", "middling", "hard"], BATCH, config)
    rng = np.random.default_rng([seed, 7])
    skill_K = np.array([1.0, 0.0, -2.5])
    speed_K = np.array([0.2, 0.1, 0.05])
    history = History()
    for _ in range(steps):
        history.weight.append(controller.weights_K)
        run = controller.begin_step()
        tasks, gradient = [], []
        while not run.done:
            for task in run.ask():
                right_G = rng.random(ROLLOUTS) < 1 / (1 + np.exp(-skill_K[task]))
                run.tell(len(tasks), judge(right_G.astype(float).tolist(), right_G.tolist(), sampler))
                tasks.append(task)
                gradient.append(0 < right_G.sum() < ROLLOUTS)
        selection = run.select()
        with_gradient = [tasks[i] for i in selection.launch_ids if gradient[i]]
        share_K = np.bincount(with_gradient, minlength=3) / max(len(with_gradient), 1)
        controller.observe(selection)
        history.share.append(share_K)
        skill_K = skill_K + 0.02 * share_K * speed_K
        controller.update_weights(0.2 * share_K)
    return history


def test_following_the_worst_task_alone_collapses_to_it():
    history = train(RegularizedSettings(eta=0.0), FILTERED)
    assert history.weight[-1][HARD] > 0.97
    assert history.late("weight")[HARD] > 0.9


def test_a_large_trade_off_is_as_good_as_none():
    history = train(ImprovementAwareSettings(trade_off=100.0), FILTERED)
    assert history.weight[-1][HARD] > 0.97


@pytest.mark.parametrize("seed", [0, 1])
def test_improvement_keeps_the_other_tasks_in(seed):
    history = train(ImprovementAwareSettings(trade_off=0.1), FILTERED, seed=seed)
    late_K = history.late("weight")
    assert late_K.argmax() == HARD, "the weak task still has the largest weight"
    assert late_K.max() < 0.85 and late_K.min() > 0.03


@pytest.mark.parametrize("seed", [0, 1])
def test_without_the_sampler_zero_gradient_groups_eat_the_weight_that_was_assigned(seed):
    history = train(ImprovementAwareSettings(trade_off=0.1), UNFILTERED, seed=seed)
    assert history.late("weight")[HARD] - history.late("share")[HARD] > 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_with_the_sampler_the_realised_share_is_the_weight(seed):
    history = train(ImprovementAwareSettings(trade_off=0.1), FILTERED, seed=seed)
    # A quota is a whole number of groups, less than one away from its expectation.
    assert np.abs(np.asarray(history.share) - history.weight).max() < 1 / BATCH
    assert history.late("share") == pytest.approx(history.late("weight"), abs=0.005)


def test_residual_weights_keep_the_expected_gradient_at_the_weights_when_a_task_runs_short():
    target_K = np.array([0.5, 0.3, 0.2])
    config = MTGRPOConfig(
        weights=FixedSettings(initial=target_K.tolist()),
        sampler=RoundsSettings(max_resample_rounds=1, oversample=1.0, inflate=False),
        loss_weighting="residual",
    )
    controller = TaskController(["easy", "middling", "hard"], 256, config)
    rng = np.random.default_rng(3)
    plain, weighted = [], []
    for _ in range(500):
        run = controller.begin_step()
        launched = 0
        while not run.done:
            for task in run.ask():
                kept = task != HARD or rng.random() < 0.1
                run.tell(launched, GroupResult(Outcome.INFORMATIVE if kept else Outcome.FILTERED, 0.0, kept))
                launched += 1
        selection = run.select()
        share_K = selection.chosen_K / selection.chosen_K.sum()
        plain.append(share_K)
        # Each group in the batch is a gradient of length one in the direction of its task.
        weighted.append(share_K * controller.loss_weights_K(selection))
        controller.observe(selection)
        controller.update_weights(np.full(3, np.nan))
    error_K = np.std(weighted, axis=0) / np.sqrt(len(weighted))
    assert np.mean(plain, axis=0)[HARD] < target_K[HARD] - 0.03
    assert np.all(np.abs(np.mean(weighted, axis=0) - target_K) < 4 * error_K)
