"""The two functions verl calls, beside verl's own."""

import numpy as np
import pytest
import torch
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, compute_policy_loss_vanilla
from verl.workers.config import ActorConfig, PolicyLossConfig

from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.advantage import compute_mt_grpo_advantage
from mt_grpo_recipe.verl_plugin.policy_loss import clip_bounds, compute_mt_grpo_loss


def make_actor_config(**kwargs):
    return ActorConfig(
        strategy="fsdp2",
        rollout_n=4,
        use_dynamic_bsz=True,
        ppo_mini_batch_size=8,
        policy_loss=PolicyLossConfig(loss_mode="mt_grpo"),
        **kwargs,
    )


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    shape = (12, 7)
    old = -torch.rand(shape, generator=generator)
    new = old + torch.randn(shape, generator=generator)
    advantages = torch.randn((12, 1), generator=generator).expand(shape)
    mask = (torch.rand(shape, generator=generator) > 0.3).long()
    return old, new, advantages, mask


@pytest.mark.parametrize("aggregation", ["token-mean", "seq-mean-token-mean", "seq-mean-token-sum"])
def test_without_weights_the_loss_and_its_metrics_are_those_of_verl(batch, aggregation):
    config = make_actor_config(clip_ratio_low=0.2, clip_ratio_high=0.28)
    old, new, advantages, mask = batch
    loss, metrics = compute_mt_grpo_loss(old, new, advantages, mask, aggregation, config)
    verl_loss, verl_metrics = compute_policy_loss_vanilla(old, new, advantages, mask, aggregation, config)
    assert loss.item() == verl_loss.item()
    assert metrics == pytest.approx(verl_metrics, abs=1e-6)


def test_weights_scale_the_loss_of_their_tokens_and_zero_weights_leave_no_gradient(batch):
    config = make_actor_config()
    old, new, advantages, mask = batch
    weights = torch.zeros_like(old)
    weights[:3] = 2.0
    new = new.clone().requires_grad_()
    loss, _ = compute_mt_grpo_loss(old, new, advantages, mask, "token-mean", config, weights)
    loss.backward()
    assert new.grad[3:].abs().max() == 0
    # Token mean: twice the sum over the first three rows, over all tokens of the batch.
    alone, _ = compute_mt_grpo_loss(old[:3], new[:3], advantages[:3], mask[:3], "token-mean", config)
    assert loss.item() == pytest.approx(2 * alone.item() * mask[:3].sum().item() / mask.sum().item(), rel=1e-5)


def test_an_unset_side_of_the_clip_range_is_the_symmetric_ratio():
    assert clip_bounds(make_actor_config(clip_ratio=0.1, clip_ratio_low=None, clip_ratio_high=0.3)) == (0.1, 0.3, 3.0)


def test_the_estimator_is_grpo_but_exactly_zero_where_rewards_are_equal():
    rewards = torch.zeros(9, 5)
    rewards[:, 2] = torch.tensor([1.0, 0.0, 0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 0.0])
    mask = torch.ones(9, 5)
    mask[:, 4] = 0
    index = np.array(["a", "a", "b", "b", "b", "b", "c", "c", "c"], dtype=object)
    advantages, returns = compute_mt_grpo_advantage(rewards, mask, index, config={})
    expected, _ = compute_grpo_outcome_advantage(rewards.clone(), mask, index)
    assert torch.equal(advantages, returns)
    assert advantages[2:6].abs().max() == 0
    others = [0, 1, 6, 7, 8]
    torch.testing.assert_close(advantages[others], expected[others])
    # Group a by hand: mean 0.5, unbiased standard deviation sqrt(0.5).
    assert advantages[0, 0].item() == pytest.approx(0.5 / (0.5**0.5 + 1e-6))
    assert advantages[0, 4] == 0


def test_scaling_by_the_standard_deviation_can_be_left_out():
    rewards = torch.tensor([[1.0], [0.0]])
    index = np.array(["a", "a"], dtype=object)
    advantages, _ = compute_mt_grpo_advantage(
        rewards, torch.ones(2, 1), index, config={"norm_adv_by_std_in_grpo": False}
    )
    assert advantages.squeeze().tolist() == [0.5, -0.5]


def test_a_trainer_of_verls_own_is_refused_where_the_dataset_is_not_the_plugins():
    ones = torch.ones(2, 3)
    compute_mt_grpo_advantage(ones, ones, np.array(["u", "u"]), compose_config([]).algorithm)
    other = compose_config(["trainer.v1.trainer_mode=sync"])
    with pytest.raises(ConfigError, match="only the plugin's trainers read the section mt_grpo"):
        compute_mt_grpo_advantage(ones, ones, np.array(["u", "u"]), other.algorithm)
