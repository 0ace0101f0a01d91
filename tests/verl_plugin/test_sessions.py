"""Sessions with several outputs, as in multi-turn agent loops: one session is one sample, as in verl's `grpo`."""

import numpy as np
import pytest
import torch
from buffers import MIXED, make_buffer, sample
from omegaconf import OmegaConf
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.protocol import DataProto
from verl.trainer.ppo.core_algos import AdvantageEstimator
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

from mt_grpo_recipe.verl_plugin.advantage import put_session_advantages
from mt_grpo_recipe.verl_plugin.improvement import mean_absolute_advantage
from mt_grpo_recipe.verl_plugin.queue_rows import by_session, last_outputs

ALGORITHM = OmegaConf.create({"adv_estimator": "mt_grpo", "norm_adv_by_std_in_grpo": True})
REWARDS = {"g_0": 1.0, "g_1": 1.0, "g_2": 0.0, "g_3": 0.0, "h_0": 0.1, "h_1": 0.1}
"""Reward of each session: a group in which half are right, and one without spread."""
OUTPUTS = {"g_0": 3, "g_1": 2, "h_1": 2}
"""Sessions with several outputs: of the rows of group g, five of seven are right."""
LENGTHS = [2, 1, 3]
"""Tokens of an output, by its number."""


@pytest.fixture
def batch(rows):
    """Rows in an order that verl's balancing could give them; the first token of each is masked where it has three."""
    keys = [f"{session}_{output}" for session in REWARDS for output in range(OUTPUTS.get(session, 1))]
    keys = keys[::-2] + keys[-2::-2]
    for key in keys:
        length = LENGTHS[int(key[-1])]
        mask = [0, 1, 1] if length == 3 else [1] * length
        reward = REWARDS[key[:-2]]
        rows.add(key, response_mask=mask, rm_scores=[0.0] * (length - 1) + [reward], advantages=[9.0] * length)
    return KVBatchMeta(partition_id="train", keys=keys, tags=[{}] * len(keys))


def advantages(rows, batch):
    return {key: rows.fields[key]["advantages"] for key in batch.keys}


def test_all_outputs_of_a_session_have_the_advantage_of_the_session(rows, batch):
    put_session_advantages(batch, ALGORITHM)
    # Four sessions, mean 0.5, unbiased standard deviation sqrt(4 * 0.25 / 3) = 0.57735: 0.5 / 0.57735 = 0.86603. Seven
    # rows, mean 5/7, standard deviation 0.48795, would give 0.58554 and -1.46385.
    for key, values in advantages(rows, batch).items():
        expected = {"g": 0.8660 if REWARDS[key[:-2]] else -0.8660, "h": 0.0}[key[0]]
        assert values == pytest.approx([expected * m for m in rows.fields[key]["response_mask"]], abs=1e-4)
        assert rows.fields[key]["returns"] == values


@pytest.mark.parametrize("by_std", [True, False])
@pytest.mark.parametrize("rejected", [None, "g_0_2"])
def test_the_advantages_are_those_of_verls_grpo(rows, batch, by_std, rejected):
    if rejected:
        # verl's rollout correction can take every token of an output out of the loss.
        rows.add(rejected, response_mask=[0, 0, 0])
    algorithm = OmegaConf.merge(ALGORITHM, {"norm_adv_by_std_in_grpo": by_std})
    put_session_advantages(batch, algorithm)

    def padded(field):
        values = [torch.tensor(rows.fields[key][field]) for key in batch.keys]
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True)

    columns = {"token_level_rewards": padded("rm_scores"), "response_mask": padded("response_mask")}
    data = DataProto(batch=TensorDict(columns, batch_size=len(batch)))
    data.non_tensor_batch["uid"] = np.array([key.split("_")[0] for key in batch.keys], dtype=object)
    theirs = compute_advantage_for_multi_trajectories(
        data, batch.keys, AdvantageEstimator.GRPO, norm_adv_by_std_in_grpo=by_std
    )
    # verl's standard deviation of equal rewards need not be zero; ours is.
    assert torch.allclose(padded("advantages"), theirs.batch["advantages"], atol=1e-3)


def test_rewards_per_token_go_before_scores(rows, batch):
    for key in batch.keys:
        rows.add(key, token_level_rewards=[2 * score for score in rows.fields[key]["rm_scores"]])
    put_session_advantages(batch, OmegaConf.merge(ALGORITHM, {"norm_adv_by_std_in_grpo": False}))
    assert rows.fields["g_2_0"]["advantages"] == [-1.0, -1.0]


def test_one_output_per_session_and_other_estimators_are_left_to_verl(rows, batch):
    before = advantages(rows, batch)
    put_session_advantages(batch, OmegaConf.merge(ALGORITHM, {"adv_estimator": "grpo"}))
    single = KVBatchMeta(partition_id="train", keys=["g_2_0", "g_3_0"], tags=[{}] * 2)
    assert put_session_advantages(single, ALGORITHM) is single
    assert advantages(rows, batch) == before


def test_outputs_are_put_together_by_session():
    keys = ["a_1_1", "b_0_0", "a_0_2", "a_1_0", "a_0_10"]
    assert last_outputs(keys) == ["a_1_1", "b_0_0", "a_0_10"]
    assert by_session(keys) == ["a_1_0", "a_1_1", "b_0_0", "a_0_2", "a_0_10"]


def test_the_mean_absolute_advantage_counts_a_session_once(rows, batch):
    put_session_advantages(batch, ALGORITHM)
    task_of_row = {key: "gh".index(key[0]) for key in batch.keys}
    assert mean_absolute_advantage(task_of_row, 2) == pytest.approx([0.8660, 0.0], abs=1e-4)
    del task_of_row["g_3_0"], task_of_row["g_2_0"]
    rows.add("g_1_0", advantages=[0.0, 0.0])
    # Session 1 has three tokens, two of them in its first output: (0.866 + 0.866 / 3) / 2.
    assert mean_absolute_advantage(task_of_row, 2)[0] == pytest.approx(0.8660 * 2 / 3, abs=1e-4)


def test_accuracy_filter_and_costs_count_sessions(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED, tasks=("a",), batch_size=2, oversample=1.0)
    rollout.outputs_of = {0: 3, 3: 2}
    batch = sample(buffer)
    assert len(batch) == 2 * 7
    metrics = buffer.controller.metrics()
    # Two of four sessions are right; of the rows it would be five of seven. Three tokens per output.
    assert metrics["accuracy"] == {"a": 0.5}
    assert metrics["generated_rollouts"] == metrics["trained_rollouts"] == {"a": 8}
    assert metrics["generated_tokens"] == {"a": 2 * 7 * 3}


def test_a_flat_group_is_flat_whatever_its_outputs(monkeypatch):
    buffer, rollout = make_buffer(
        monkeypatch, lambda task, number: MIXED if task else MIXED[:1] * 4, max_resample_rounds=0
    )
    rollout.outputs_of = {1: 4}
    sample(buffer)
    assert buffer.controller.metrics()["zero_grad_rate"] == {"a": 1.0, "b": 0.0}
