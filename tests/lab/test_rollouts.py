"""Driving the sampler: the controller is told what the groups were."""

import numpy as np
import pytest
import torch
from composing import compose_settings
from rollouts import Engine, Group, fill_batch

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.settings import RewardSettings
from mt_grpo_recipe.history.record import Timeline

TASKS = ["countdown-mini", "arc-mini", "zebra-mini"]


@pytest.fixture
def groups_of(puzzles):
    """Makes the groups of a task end right in half of the rollouts, in none, or in all."""

    def roll_out(tasks):
        return [
            Group(puzzles[TASKS[task]][0], [[5, 1]] * 4, rewards, [reward == 1 for reward in rewards])
            for task in tasks
            for rewards in [([1.0, 0.1, 1.0, 0.1], [0.1, 0.0, 0.1, 0.1], [1.0] * 4)[task]]
        ]

    return roll_out


@pytest.mark.parametrize("method", ["dapo", "mt_grpo", "mt_grpo_stream"])
def test_filtered_groups_are_left_out_and_count_in_the_accuracy(method, groups_of):
    _, mt_grpo = compose_settings(method, 0, 80, [])
    controller = TaskController(TASKS, 12, mt_grpo)
    selection, groups = fill_batch(controller, mt_grpo.sampler, groups_of, Timeline())
    assert len(groups) == len(selection.launch_ids) == selection.chosen_K[0] > 0
    assert {group.puzzle.task for group in groups} == {"countdown-mini"}
    metrics = controller.metrics()
    assert metrics["accuracy"] == dict(zip(TASKS, [0.5, 0.0, 1.0], strict=True))
    assert metrics["filtered_rate"] == dict(zip(TASKS, [0.0, 1.0, 1.0], strict=True))
    # Wrong answers of which one is not well-formed have unequal rewards.
    assert metrics["zero_grad_rate"] == dict(zip(TASKS, [0.0, 0.0, 1.0], strict=True))
    assert metrics["batch_share"]["countdown-mini"] == 1


def test_without_a_filter_flat_groups_are_trained_on_and_counted(groups_of):
    _, mt_grpo = compose_settings("grpo", 0, 80, [])
    controller = TaskController(TASKS, 12, mt_grpo)
    selection, groups = fill_batch(controller, mt_grpo.sampler, groups_of, Timeline())
    assert len(groups) == 12 and selection.chosen_K.tolist() == [4, 4, 4]
    # Wrong answers of which one is not well-formed have unequal rewards.
    assert controller.metrics()["zero_grad_rate"] == dict(zip(TASKS, [0.0, 0.0, 1.0], strict=True))
    assert controller.metrics()["batch_share"] == dict(zip(TASKS, [0.5, 0.5, 0.0], strict=True))


def test_answers_are_scored_by_the_reward_functions(model, tokenizer, puzzles):
    engine = Engine(model, tokenizer, 32, torch.Generator().manual_seed(0), RewardSettings(), puzzles_at_once=3)
    asked = puzzles["zebra-mini"][:4] + puzzles["countdown-mini"][:3]
    groups = engine.roll_out(asked, 8, 1.0)
    assert [group.puzzle for group in groups] == asked
    rewards = np.array([group.rewards_G for group in groups])
    correct = np.array([group.accuracy_G for group in groups])
    assert rewards.shape == (7, 8) and set(rewards.flat) <= {0.0, 0.1, 1.0}
    assert ((rewards == 1.0) == correct).all() and 0 < correct.mean() < 1
    assert groups[0].accuracy == correct[0].mean()
