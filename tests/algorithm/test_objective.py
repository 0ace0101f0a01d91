"""Advantages, surrogate and per-task means, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mt_grpo_recipe.algorithm.objective import (
    Clip,
    advantage_mass,
    clipped_surrogate,
    group_advantages,
    has_spread,
    owed_after_residual,
    probe_rows,
    residual_weights,
    sequence_means,
    task_improvement,
    task_means,
)

CLIP = Clip(low=0.2, high=0.28, dual=3.0)


def test_equal_rewards_have_no_spread_though_their_deviation_is_not_zero():
    rewards = [0.1] * 72
    assert np.std(rewards) > 0  # the trap: 1.4e-17
    assert not has_spread(rewards)
    assert has_spread([0.1] * 71 + [0.0])


def test_advantages_use_the_unbiased_deviation():
    # Group a: 1, 0, 0, 1. Mean 1/2, squared deviations 4 * 1/4 = 1, / (4 - 1), std = sqrt(1/3) = 0.5773503.
    # 0.5 / (0.5773503 + 1e-6) = 0.8660239. Group b: 1, 0: mean 1/2, std = sqrt(1/2) = 0.7071068, 0.7071058.
    scores_N = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    advantages_N = group_advantages(scores_N, ["a", "b", "a", "a", "b", "a"], scale_by_std=True)
    expected = [0.8660239, 0.7071058, -0.8660239, -0.8660239, -0.7071058, 0.8660239]
    assert advantages_N.tolist() == pytest.approx(expected, abs=1e-6)


def test_advantages_without_scaling_are_centred_rewards():
    # Mean (1 + 0.1 + 0.1) / 3 = 0.4
    advantages_N = group_advantages(torch.tensor([1.0, 0.1, 0.1]), ["a"] * 3, scale_by_std=False)
    assert advantages_N.tolist() == pytest.approx([0.6, -0.3, -0.3])


def test_a_group_of_equal_rewards_is_exactly_zero():
    advantages_N = group_advantages(torch.full((72,), 0.1), ["a"] * 72, scale_by_std=True)
    assert torch.equal(advantages_N, torch.zeros(72))


def test_a_single_rollout_has_no_advantage():
    advantages_N = group_advantages(torch.tensor([1.0, 0.0, 1.0]), ["alone", "b", "b"], scale_by_std=True)
    assert advantages_N[0] == 0
    assert torch.isfinite(advantages_N).all()


def test_no_rollouts_at_all():
    assert group_advantages(torch.empty(0), [], scale_by_std=True).shape == (0,)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 1.0, 1.0),
        (1.1, 1.0, 1.1),  # inside the clip: r A
        (1.5, 1.0, 1.28),  # above: clip-higher cuts at 1.28
        (0.5, 1.0, 0.5),  # below with A > 0: min(0.5, 0.8), not clipped
        (0.9, -1.0, -0.9),  # inside
        (0.5, -1.0, -0.8),  # below with A < 0: min(-0.5, -0.8)
        (2.0, -1.0, -2.0),  # above with A < 0: min(-2, -1.28)
        (4.0, -1.0, -3.0),  # dual clip: max(-4, 3 * -1)
        (4.0, -0.5, -1.5),  # max(-2, 3 * -0.5)
        (7.0, 0.0, 0.0),
    ],
)
def test_surrogate_in_every_region(ratio, advantage, expected):
    value = clipped_surrogate(torch.tensor([[math.log(ratio)]]), torch.tensor([[advantage]]), CLIP)
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_surrogate_stays_finite_for_absurd_ratios():
    log_ratio = torch.tensor([[500.0, -500.0, 500.0, -500.0]])
    value = clipped_surrogate(log_ratio, torch.tensor([[1.0, 1.0, -1.0, -1.0]]), CLIP)
    # 1.28 | e^-20, next to nothing | dual clip -3 | -0.8
    assert value.flatten().tolist() == pytest.approx([1.28, 0.0, -3.0, -0.8], abs=1e-6)


def test_surrogate_has_no_gradient_where_it_is_clipped():
    log_ratio = torch.tensor([[math.log(1.5), math.log(1.1)]], requires_grad=True)
    clipped_surrogate(log_ratio, torch.ones(1, 2), CLIP).sum().backward()
    assert log_ratio.grad is not None
    # d(r A)/d log r = r A inside, nothing outside
    assert log_ratio.grad.flatten().tolist() == pytest.approx([0.0, 1.1])


def test_sequence_means_skip_masked_tokens():
    values_NT = torch.tensor([[1.0, 2.0, 9.0], [4.0, 9.0, 9.0], [9.0, 9.0, 9.0]])
    mask_NT = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert sequence_means(values_NT, mask_NT).tolist() == [1.5, 4.0, 0.0]


def test_task_means_are_nan_without_values():
    means_K = task_means([1.0, 0.0, 0.5], [2, 2, 0], 3)
    assert means_K[[0, 2]].tolist() == [0.5, 0.5]
    assert math.isnan(means_K[1])


def test_improvement_by_hand():
    # Sample 0, task 0, A = 1: ratios 1.1 and 1.5 -> 1.1 and 1.28; minus 1 each: 0.1, 0.28; mean 0.19.
    # Sample 1, task 0, A = -2, second token masked: ratio 0.9 -> -1.8, minus -2 = 0.2.
    # Sample 2, task 2, A = 0: 0. Task 0: (0.19 + 0.2) / 2 = 0.195; task 1 has no sample.
    ratio_NT = torch.tensor([[1.1, 1.5], [0.9, 5.0], [3.0, 0.1]])
    advantages_NT = torch.tensor([[1.0, 1.0], [-2.0, -2.0], [0.0, 0.0]])
    mask_NT = torch.tensor([[1, 1], [1, 0], [1, 1]])
    change_K = task_improvement(ratio_NT.log(), advantages_NT, mask_NT, [0, 0, 2], 3, CLIP)
    assert change_K[[0, 2]] == pytest.approx([0.195, 0.0], abs=1e-6)
    assert math.isnan(change_K[1])


def test_improvement_summed_over_samples():
    # The samples of the test above: 0.19 + 0.2; the sum of one zero; nothing.
    ratio_NT = torch.tensor([[1.1, 1.5], [0.9, 5.0], [3.0, 0.1]])
    advantages_NT = torch.tensor([[1.0, 1.0], [-2.0, -2.0], [0.0, 0.0]])
    mask_NT = torch.tensor([[1, 1], [1, 0], [1, 1]])
    change_K = task_improvement(ratio_NT.log(), advantages_NT, mask_NT, [0, 0, 2], 3, CLIP, reduction="sum")
    assert change_K[[0, 2]] == pytest.approx([0.39, 0.0], abs=1e-6)
    assert math.isnan(change_K[1])


def test_no_change_of_the_policy_is_no_improvement():
    change_K = task_improvement(torch.zeros(2, 3), torch.randn(2, 3), torch.ones(2, 3), [0, 1], 2, CLIP)
    assert change_K.tolist() == [0.0, 0.0]


def test_residual_weights_restore_the_quotas():
    # Targets 1/2, 1/4, 1/4; shares 20/30, 10/30, 0: 0.75, 0.75, and nothing to weigh.
    weights_K = residual_weights(np.array([0.5, 0.25, 0.25]), np.array([20, 10, 0]), 5.0)
    assert weights_K == pytest.approx([0.75, 0.75, 0.0])


def test_residual_weights_are_exactly_one_when_the_quotas_were_met():
    quota_K = np.array([13, 4, 15])
    assert residual_weights(quota_K / quota_K.sum(), quota_K, 5.0).tolist() == [1.0, 1.0, 1.0]


def test_residual_weights_are_bounded():
    # Task 1: target 1/2, share 1/32: 16, bounded by 5. Task 0: (1/2) / (31/32) = 16/31.
    assert residual_weights(np.array([0.5, 0.5]), np.array([31, 1]), 5.0) == pytest.approx([16 / 31, 5.0])


def test_what_residual_weights_leave_owed():
    """Of 16 groups 12 are due to a, 3 to b, 1 to c. With 2, 14 and 0 their weights are 6, cut to 5, 3/14 and none."""
    shares_K, count_K = np.array([12, 3, 1]) / 16, np.array([2, 14, 0])
    owed_K = np.array([10.0, -11.0, 1.0])
    assert owed_after_residual(owed_K, shares_K, count_K, 5.0).tolist() == [2.0, 0.0, 1.0]
    assert owed_after_residual(owed_K, shares_K, count_K, 6.0).tolist() == [0.0, 0.0, 1.0]
    # No more than was owed before its weight, which is bounded.
    assert owed_after_residual(np.array([1.5, -11.0, 1.0]), shares_K, count_K, 5.0).tolist() == [1.5, 0.0, 1.0]


def test_residual_weights_of_an_empty_batch():
    assert residual_weights(np.array([0.5, 0.5]), np.array([0, 0]), 5.0).tolist() == [0.0, 0.0]


def test_a_probe_holds_each_tasks_share_rounded_up():
    tasks = [0] * 8 + [1] * 3 + [2]
    rows = probe_rows(tasks, 0.5, 1, np.random.default_rng(0))
    assert rows == sorted(set(rows))
    assert np.bincount([tasks[row] for row in rows]).tolist() == [4, 2, 1]


def test_a_probe_is_filled_up_to_whole_ranks_and_takes_padding_last():
    tasks = [0] * 5 + [-1] * 3
    assert len(probe_rows(tasks, 0.2, 4, np.random.default_rng(0))) == 4
    assert all(tasks[row] == 0 for row in probe_rows(tasks, 0.2, 4, np.random.default_rng(0)))
    assert probe_rows(tasks, 1.0, 8, np.random.default_rng(0)) == list(range(8))


def test_the_mean_over_a_probe_is_that_over_all_on_average():
    values, rng = np.arange(10.0), np.random.default_rng(0)
    means = [values[probe_rows([0] * 10, 0.3, 1, rng)].mean() for _ in range(4000)]
    # Three of ten without replacement: variance 8.25 / 3 * 7 / 9.
    assert abs(np.mean(means) - 4.5) < 4 * np.sqrt(8.25 / 3 * 7 / 9 / 4000)


def test_the_mass_of_the_advantages_is_summed_over_the_tokens_of_each_task():
    advantages_NT = torch.tensor([[0.5, 0.5], [-2.0, 4.0], [1.0, 1.0]])
    mask_NT = torch.tensor([[1, 1], [1, 0], [0, 0]])
    assert advantage_mass(advantages_NT, mask_NT, [2, 0, 1], 4).tolist() == [2.0, 0.0, 1.0, 0.0]
    assert advantage_mass(advantages_NT, mask_NT, [2, 0, 1], 4, token_mean=True).tolist() == [2.0, 0.0, 0.5, 0.0]
