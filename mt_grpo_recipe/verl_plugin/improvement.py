"""What is measured on the batch of an update: I_k or the mean |A|, which rules read, and each task's gradient.

A sample is a session: the tokens of several outputs count as one sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from transfer_queue import KVBatchMeta
from verl.workers.utils.padding import response_from_nested

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.objective import (
    Clip,
    advantage_mass,
    probe_rows,
    sequence_means,
    task_improvement,
    task_means,
)
from mt_grpo_recipe.config import MTGRPOConfig
from mt_grpo_recipe.verl_plugin.queue_rows import by_session, fetch, join_outputs, last_outputs, take_rows


def data_parallel_ranks(workers: Any) -> int:
    """Number of data-parallel ranks of verl's actor worker group."""
    return max(workers._dispatch_info["actor"]) + 1


def mean_absolute_advantage(task_of_row: Mapping[str, int], num_tasks: int) -> FloatArray:
    """Mean over a task's samples of the token mean of |A|, shape (K,); NaN for a task without samples.

    Args:
        task_of_row: key -> task of the batch's rows, padding left out.
        num_tasks: K.
    """
    keys = by_session(task_of_row)
    data = fetch(keys, "advantages", "response_mask")
    mask_NT = join_outputs(data["response_mask"], keys).to_padded_tensor(0)
    means_N = sequence_means(join_outputs(data["advantages"], keys).to_padded_tensor(0.0).abs(), mask_NT)
    return task_means(means_N.double().numpy(), [task_of_row[key] for key in last_outputs(keys)], num_tasks)


def advantage_mass_of_rows(task_of_row: Mapping[str, int], num_tasks: int, loss_agg_mode: str) -> FloatArray:
    """|A| over the response tokens of each row, summed over each task's rows, shape (K,).

    Args:
        task_of_row: key -> task of the batch's rows, padding left out.
        num_tasks: K.
        loss_agg_mode: how verl's loss sums over tokens; `seq-mean-token-mean` takes their mean within a row.
    """
    data = fetch(list(task_of_row), "advantages", "response_mask")
    advantages_NT, mask_NT = data["advantages"].to_padded_tensor(0.0), data["response_mask"].to_padded_tensor(0)
    token_mean = loss_agg_mode == "seq-mean-token-mean"
    return advantage_mass(advantages_NT, mask_NT, list(task_of_row.values()), num_tasks, token_mean)


class ImprovementPass:
    """Measures I_k of an update (arXiv 2602.05547, Eq. 8) by one forward pass over its batch, or over a part of it.

    Args:
        config: `improvement` says how to measure, `seed` seeds the draw of the part.
        clip: bounds of the ratio in the policy loss.
        temperature: of the rollouts; the old log-probabilities were computed with it.
        num_tasks: K.
        micro_batch: rows that a rank's part must be a multiple of.
    """

    def __init__(self, config: MTGRPOConfig, clip: Clip, temperature: float, num_tasks: int, micro_batch: int = 1):
        self._settings = config.improvement
        self._seed = config.seed
        self._clip = clip
        self._temperature = temperature
        self._num_tasks = num_tasks
        self._micro_batch = micro_batch

    def measure(self, workers: Any, batch: KVBatchMeta, task_of_row: Mapping[str, int], step: int) -> FloatArray:
        """I_k of the update that was just made on this batch, shape (K,); NaN for a task without samples.

        Args:
            workers: verl's actor worker group, with the policy after the update.
            batch: rows with old log-probabilities and advantages.
            task_of_row: key -> task of the batch's rows, padding left out.
            step: the training step.
        """
        batch = self._probe(workers, batch, task_of_row, step)
        workers.compute_log_prob(self._request(batch))
        task_of_probed = {key: task_of_row[key] for key in batch.keys if key in task_of_row}
        return self._change(task_of_probed)

    def _probe(self, workers: Any, batch: KVBatchMeta, task_of_row: Mapping[str, int], step: int) -> KVBatchMeta:
        """The part of the batch on which I_k is measured: all of it where a session has several rows.

        A row of such a session holds only some of its tokens.
        """
        fraction = self._settings.probe_fraction
        if fraction == 1 or len(last_outputs(task_of_row)) < len(task_of_row):
            return batch
        # A generator of its own for every step: nothing to save, and a resumed run draws the same.
        rng = np.random.default_rng([self._seed, 2, step])
        task_N = [task_of_row.get(key, -1) for key in batch.keys]
        multiple = data_parallel_ranks(workers) * self._micro_batch
        return take_rows(batch, probe_rows(task_N, fraction, multiple, rng))

    def _request(self, batch: KVBatchMeta) -> KVBatchMeta:
        """What verl's workers take; they write the field `log_probs` of these rows."""
        extra_info = {"calculate_entropy": False, "compute_loss": False, "temperature": self._temperature}
        return KVBatchMeta(partition_id=batch.partition_id, keys=batch.keys, tags=batch.tags, extra_info=extra_info)

    def _change(self, task_of_row: Mapping[str, int]) -> FloatArray:
        """Change of the clipped surrogate from the old log-probabilities to the new, by task, shape (K,)."""
        keys = by_session(task_of_row)
        data = fetch(keys, "log_probs", "old_log_probs", "advantages", "response_mask")
        mask = data["response_mask"]
        after = join_outputs(response_from_nested(data["log_probs"], mask), keys).to_padded_tensor(0.0)
        return task_improvement(
            log_ratio_NT=after - join_outputs(data["old_log_probs"], keys).to_padded_tensor(0.0),
            advantages_NT=join_outputs(data["advantages"], keys).to_padded_tensor(0.0),
            mask_NT=join_outputs(mask, keys).to_padded_tensor(0),
            task_N=[task_of_row[key] for key in last_outputs(keys)],
            num_tasks=self._num_tasks,
            clip=self._clip,
            reduction=self._settings.reduction,
        )
