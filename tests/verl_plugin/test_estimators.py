"""Which of verl's advantage estimators give a flat group nothing and every other group something."""

import inspect

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

import mt_grpo_recipe.verl_plugin.advantage  # noqa: F401  registers ours
from mt_grpo_recipe.verl_plugin.checks.method import GROUP_RELATIVE

SIZE = 4
FLAT = [[1.0] * SIZE, [0.0] * SIZE, [0.1] * SIZE]
VARIED = [[1, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 1], [0.1, 0.1, 0.1, 0.2]]


def largest_advantage_of_groups(estimator):
    """Largest |A| of each group, for responses of unequal length whose reward is on their last token."""
    rng = torch.Generator().manual_seed(0)
    rewards_N = torch.tensor([*FLAT, *VARIED]).reshape(-1)
    num, longest = len(rewards_N), 9
    lengths_N = torch.randint(1, longest + 1, (num,), generator=rng)
    rewards_NT = torch.zeros(num, longest)
    rewards_NT[torch.arange(num), lengths_N - 1] = rewards_N
    given = {
        "token_level_rewards": rewards_NT,
        "response_mask": (torch.arange(longest) < lengths_N[:, None]).float(),
        "index": np.repeat(np.arange(num // SIZE), SIZE),
        "config": OmegaConf.create({"gamma": 1.0, "lam": 1.0}),
        "gamma": 1.0,
        "lam": 1.0,
        "values": torch.zeros(num, longest),
        "reward_baselines": torch.zeros(num),
        "old_log_probs": -torch.rand(num, longest, generator=rng),
        "sum_pi_squared": torch.rand(num, longest, generator=rng),
    }
    function = ADV_ESTIMATOR_REGISTRY[estimator]
    advantages_NT, _ = function(**{k: v for k, v in given.items() if k in inspect.signature(function).parameters})
    return advantages_NT.abs().amax(-1).reshape(-1, SIZE).amax(-1).tolist()


@pytest.mark.parametrize("estimator", sorted(map(str, ADV_ESTIMATOR_REGISTRY)))
def test_the_sampler_may_drop_flat_groups_for_exactly_these_estimators(estimator):
    largest = largest_advantage_of_groups(estimator)
    flat, varied = largest[: len(FLAT)], largest[len(FLAT) :]
    assert (max(flat) < 1e-6 and min(varied) > 1e-3) is (estimator in GROUP_RELATIVE)
