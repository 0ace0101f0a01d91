"""I_k and the mean absolute advantage over rows of an imitated queue, beside numbers worked out by hand."""

import math

import pytest
from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta

from mt_grpo_recipe.algorithm.objective import Clip
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.verl_plugin.improvement import ImprovementPass, data_parallel_ranks, mean_absolute_advantage

CLIP = Clip(0.2, 0.28, 3.0)
TASK_OF_ROW = {"a_0_0": 0, "a_1_0": 0, "b_0_0": 1}
"""Three samples of two tasks; a third task has none."""


class Workers:
    """A worker group that gives the response tokens of each row the ratios in `ratios`."""

    def __init__(self, rows, ratios, ranks=1):
        self._rows = rows
        self._ratios = ratios
        self._dispatch_info = {"actor": [rank for rank in range(ranks) for _ in range(2)]}
        self.requests = []

    def compute_log_prob(self, request):
        self.requests.append(request)
        for key in request.keys:
            old = self._rows.fields[key]["old_log_probs"]
            new = [o + math.log(r) for o, r in zip(old, self._ratios[key], strict=True)]
            # The model gives a number per token, for the one after it: one of the prompt, the response's, the last.
            self._rows.add(key, log_probs=[-9.0, *new, -9.0])


@pytest.fixture
def batch(rows):
    rows.add("a_0_0", advantages=[1.0, 1.0], old_log_probs=[-0.5, -1.0], response_mask=[1, 1])
    rows.add("a_1_0", advantages=[-1.0], old_log_probs=[-0.25], response_mask=[1])
    rows.add("b_0_0", advantages=[0.5, 0.5, 0.5], old_log_probs=[-1.0, -1.0, -1.0], response_mask=[1, 1, 0])
    rows.add("pad_0_0", advantages=[0.0], old_log_probs=[-1.0], response_mask=[0])
    keys = ["a_0_0", "pad_0_0", "a_1_0", "b_0_0"]
    return KVBatchMeta(partition_id="train", keys=keys, tags=[{"key": key} for key in keys])


@pytest.fixture
def workers(rows):
    ratios = {"a_0_0": [1.1, 2.0], "a_1_0": [0.9], "b_0_0": [0.8, 1.2, 1.0], "pad_0_0": [1.0]}
    return Workers(rows, ratios)


def make_pass(num_tasks=3, seed=0, micro_batch=1, **improvement):
    config = load_config(OmegaConf.create({"seed": seed, "improvement": improvement}))
    return ImprovementPass(config, CLIP, temperature=0.7, num_tasks=num_tasks, micro_batch=micro_batch)


@pytest.mark.parametrize(("reduction", "expected"), [("mean", [0.145, 0.0]), ("sum", [0.29, 0.0])])
def test_improvement_of_each_task(batch, workers, reduction, expected):
    # Task a, first sample: tokens change by 1.1 - 1 and, clipped at 1.28, by 0.28: mean 0.19. Second sample: A = -1
    # and ratio 0.9 give -0.9 + 1 = 0.1. Mean 0.145, sum 0.29. Task b: 0.5 (-0.2 + 0.2) / 2 = 0, one token is masked.
    improvement_K = make_pass(reduction=reduction).measure(workers, batch, TASK_OF_ROW, step=1)
    assert improvement_K[:2] == pytest.approx(expected, abs=1e-6)
    assert math.isnan(improvement_K[2])


def test_the_outputs_of_a_session_are_one_sample(rows):
    rows.add("a_0_1", advantages=[1.0], old_log_probs=[-0.5], response_mask=[1])
    rows.add("a_1_0", advantages=[-1.0], old_log_probs=[-0.25], response_mask=[1])
    rows.add("a_0_0", advantages=[1.0, 1.0], old_log_probs=[-0.5, -1.0], response_mask=[1, 1])
    task_of_row = dict.fromkeys(["a_0_1", "a_1_0", "a_0_0"], 0)
    workers = Workers(rows, {"a_0_1": [1.07], "a_1_0": [0.9], "a_0_0": [1.1, 2.0]})
    batch = KVBatchMeta(partition_id="train", keys=list(task_of_row), tags=[{}] * 3)
    # Session 0: (0.1 + 0.28 + 0.07) / 3 = 0.15; session 1: 0.1. By row it would be (0.19 + 0.07 + 0.1) / 3 = 0.12.
    assert make_pass(1).measure(workers, batch, task_of_row, step=1) == pytest.approx([0.125], abs=1e-6)
    assert make_pass(1, reduction="sum").measure(workers, batch, task_of_row, step=1) == pytest.approx([0.25], abs=1e-6)


def test_the_forward_pass_is_over_the_whole_batch_at_the_temperature_of_the_rollouts(batch, workers):
    make_pass().measure(workers, batch, TASK_OF_ROW, step=1)
    (request,) = workers.requests
    assert (request.partition_id, request.keys, request.tags) == ("train", batch.keys, batch.tags)
    assert request.extra_info == {"calculate_entropy": False, "compute_loss": False, "temperature": 0.7}


def probed_keys(rows, ranks=1, seed=0, step=1, micro_batch=1):
    """Which of ten samples of task 0 and two of task 1 a probe of 0.3 takes, and what it measures."""
    ratios = {}
    task_of_row = {f"{task}_{i}_0": k for k, (task, count) in enumerate((("a", 10), ("b", 2))) for i in range(count)}
    for key, task in task_of_row.items():
        rows.add(key, advantages=[1.0], old_log_probs=[-1.0], response_mask=[1])
        ratios[key] = [(1.1, 0.9)[task]]
    workers = Workers(rows, ratios, ranks)
    batch = KVBatchMeta(partition_id="train", keys=list(task_of_row), tags=[{}] * len(task_of_row))
    improvement_K = make_pass(2, seed, micro_batch, probe_fraction=0.3).measure(workers, batch, task_of_row, step)
    return workers.requests[0].keys, improvement_K


def test_a_probe_takes_of_each_task_its_share_rounded_up(rows):
    keys, improvement_K = probed_keys(rows)
    # ceil(0.3 * 10) and ceil(0.3 * 2); every sample of a task changes by the same.
    assert [key[0] for key in keys] == ["a", "a", "a", "b"]
    assert improvement_K == pytest.approx([0.1, -0.1], abs=1e-6)


def test_a_probe_divides_among_the_ranks(rows):
    assert len(probed_keys(rows, ranks=3)[0]) == 6


def test_a_probe_divides_into_the_micro_batches_of_every_rank(rows):
    assert [len(probed_keys(rows, ranks, micro_batch=2)[0]) for ranks in (1, 2, 3)] == [4, 4, 6]
    assert len(probed_keys(rows, ranks=1, micro_batch=6)[0]) == 6


def test_a_session_with_several_rows_is_measured_whole(batch, workers, rows):
    rows.add("a_1_1", advantages=[-1.0], old_log_probs=[-0.25], response_mask=[1])
    workers._ratios["a_1_1"] = [0.9]
    batch = KVBatchMeta(partition_id="train", keys=[*batch.keys, "a_1_1"], tags=[{}] * 5)
    make_pass(probe_fraction=0.1).measure(workers, batch, TASK_OF_ROW | {"a_1_1": 0}, step=1)
    assert workers.requests[0].keys == batch.keys


def test_a_probe_depends_on_seed_and_step_alone(rows):
    assert probed_keys(rows)[0] == probed_keys(rows)[0]
    steps = {tuple(probed_keys(rows, step=step)[0]) for step in range(5)}
    seeds = {tuple(probed_keys(rows, seed=seed)[0]) for seed in range(5)}
    assert len(steps) > 1 and len(seeds) > 1


def test_mean_absolute_advantage_of_each_task(rows):
    rows.add("a_0_0", advantages=[1.0, 1.0], response_mask=[1, 1])
    rows.add("a_1_0", advantages=[-2.0, -2.0, -2.0], response_mask=[1, 0, 1])
    rows.add("b_0_0", advantages=[-0.5], response_mask=[1])
    # Task a: (1 + 2) / 2. A token mean would be (1 + 1 + 2 + 2) / 4 as well, so the masked one must not count.
    means_K = mean_absolute_advantage(TASK_OF_ROW, num_tasks=3)
    assert means_K[:2].tolist() == [1.5, 0.5]
    assert math.isnan(means_K[2])


def test_ranks_are_counted_from_verls_mapping_of_workers(rows):
    assert data_parallel_ranks(Workers(rows, {}, ranks=4)) == 4
