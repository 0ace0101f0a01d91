"""The update is verl's: hand-computed loss, flat groups left out of the forward pass but not of the token count."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from composing import compose_settings
from policy import Batch, Policy
from rollouts import Group
from tokens import log_probs, pad

TASKS = ["countdown-mini", "arc-mini", "zebra-mini"]
REWARDS = [[1.0, 0.1, 0.0, 0.1], [0.1, 0.1, 0.1, 0.1], [0.0, 1.0, 1.0, 1.0]]


@pytest.fixture(scope="module")
def config():
    return compose_settings("mt_grpo", 0, 2, [])[0]


@pytest.fixture
def groups(puzzles):
    rng = np.random.default_rng(0)
    return [
        Group(
            puzzles[task][0],
            [rng.integers(2, 259, length).tolist() for length in (3, 7, 1, 5)],
            rewards,
            [r == 1 for r in rewards],
        )
        for task, rewards in zip(TASKS, REWARDS, strict=True)
    ]


@pytest.fixture
def batch(groups):
    return Batch.of(groups, TASKS, True)


def test_the_batch_has_a_row_per_answer(batch):
    assert batch.mask_NT.sum(1).tolist() == [3, 7, 1, 5] * 3
    assert batch.task_N == [0] * 4 + [1] * 4 + [2] * 4
    assert batch.advantages_NT[4:8].abs().sum() == 0
    mean, std = 0.3, float(np.std([1.0, 0.1, 0.0, 0.1], ddof=1))
    assert batch.advantages_NT[0, :3].tolist() == pytest.approx([(1 - mean) / (std + 1e-6)] * 3)
    assert batch.advantages_NT[0, 3:].tolist() == [0] * 4


@pytest.mark.parametrize("weights_K", [None, np.array([2.0, 1.0, 0.5])])
def test_the_update_is_a_step_of_adamw_on_the_token_mean(model, config, groups, batch, weights_K):
    twin = deepcopy(model)
    before_NT, metrics = Policy(model, config, 3, "sum").update(batch, weights_K)

    optimizer = torch.optim.AdamW(twin.parameters(), lr=3e-4, betas=(0.9, 0.999), weight_decay=0.01)
    answers = [answer for group in groups for answer in group.answers_G]
    values_NT = log_probs(twin, [group.puzzle.prompt for group in groups], answers, 1.0)
    weight_N = torch.ones(12) if weights_K is None else torch.tensor(weights_K).float().repeat_interleave(4)
    ratio_NT = (values_NT - values_NT.detach()).exp()
    loss = -(ratio_NT * batch.advantages_NT * weight_N[:, None] * pad(answers)[1]).sum() / 48
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
    optimizer.step()

    assert metrics["actor/pg_loss"] == pytest.approx(loss.item(), abs=1e-6)
    assert metrics["actor/grad_norm"] == pytest.approx(norm.item(), rel=1e-4)
    for ours, plain in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, plain, atol=2e-5)
    live = torch.tensor([True] * 4 + [False] * 4 + [True] * 4)
    difference_NT = (before_NT - values_NT.detach()).abs() * pad(answers)[1]
    assert difference_NT[live].max() < 1e-4 and before_NT[~live].abs().max() == 0


def test_the_improvement_is_the_change_of_the_surrogate(model, config, groups, batch):
    policy = Policy(model, config, 3, "sum")
    before_NT, _ = policy.update(batch, None)
    answers = [answer for group in groups for answer in group.answers_G]
    with torch.no_grad():
        after_NT = log_probs(model, [group.puzzle.prompt for group in groups], answers, 1.0)
    expected_K = [0.0, 0.0, 0.0]
    for row in [*range(4), *range(8, 12)]:
        changes = []
        for token in range(len(answers[row])):
            advantage = batch.advantages_NT[row, token].item()
            ratio = float(torch.exp(after_NT[row, token] - before_NT[row, token]))
            value = min(ratio * advantage, min(max(ratio, 0.8), 1.28) * advantage)
            changes.append((max(value, 3 * advantage) if advantage < 0 else value) - advantage)
        expected_K[row // 4] += float(np.mean(changes))
    assert policy.improvement_K(batch, before_NT).tolist() == pytest.approx(expected_K, abs=1e-5)


def test_the_mean_absolute_advantage(model, config, batch):
    expected = batch.advantages_NT[:, 0].abs().reshape(3, 4).mean(1)
    assert Policy(model, config, 3, "mean").mean_absolute_advantage_K(batch).tolist() == pytest.approx(
        expected.tolist()
    )


def test_a_batch_without_any_gradient_leaves_only_weight_decay(model, config, groups):
    before = [parameter.detach().clone() for parameter in model.parameters()]
    _, metrics = Policy(model, config, 3, "sum").update(Batch.of(groups[1:2], TASKS, True), None)
    assert metrics == {"actor/pg_loss": 0.0, "actor/grad_norm": 0.0}
    for old, new in zip(before, model.parameters(), strict=True):
        assert torch.allclose(new, old * (1 - 3e-4 * 0.01))
