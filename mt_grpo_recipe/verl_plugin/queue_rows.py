"""Rows of the transfer queue's training partition: their keys, their fields, slices of a batch of them.

A row is one output of a rollout, under the key `{uid}_{session}_{output}`: the uid stands for its group, the session
for its rollout. Single-turn rollouts have one output, agent loops may have several; all carry the reward of the last
one. verl adds padding rows, which belong to no group of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray

PARTITION = "train"
"""verl's name for the partition of training rows."""


def uid_of_key(key: str) -> str:
    """Group of the row with this key."""
    return key.split("_")[0]


def mixed(uids: Sequence[str], seed: int, step: int) -> list[str]:
    """These groups in a random order that seed and step determine.

    verl cuts a batch into mini-batches as it stands, and the groups of a task that fell short were launched last: in
    order of launch they would all be in the last mini-batch.
    """
    return [uids[int(place)] for place in np.random.default_rng([seed, 4, step]).permutation(len(uids))]


def session_of_key(key: str) -> str:
    """Rollout of the row with this key, as `{uid}_{session}`."""
    return key.rpartition("_")[0]


def _output_of_key(key: str) -> int:
    return int(key.rpartition("_")[2])


def last_outputs(keys: Iterable[str]) -> list[str]:
    """The key of each session's last output, in the order in which the sessions first appear."""
    last: dict[str, str] = {}
    for key in keys:
        session = session_of_key(key)
        last[session] = max(last.get(session, key), key, key=_output_of_key)
    return list(last.values())


def by_session(keys: Iterable[str]) -> list[str]:
    """The keys with the outputs of each session together, in order, and the sessions in order of first appearance."""
    sessions: dict[str, list[str]] = {}
    for key in keys:
        sessions.setdefault(session_of_key(key), []).append(key)
    return [key for outputs in sessions.values() for key in sorted(outputs, key=_output_of_key)]


def join_outputs(rows: Any, keys: Sequence[str]) -> torch.Tensor:
    """One sequence per session instead of one per output: the tokens of its outputs one after the other.

    Args:
        rows: nested, shape (N, T*).
        keys: of the rows, in the order of `by_session`.
    """
    sessions = [session_of_key(key) for key in keys]
    ends = [row for row, session in enumerate(sessions, start=1) if row == len(keys) or session != sessions[row]]
    return torch.nested.nested_tensor_from_jagged(rows.values(), rows.offsets()[[0, *ends]])


def task_of_rows(batch: KVBatchMeta, task_of: Callable[[str], int | None]) -> dict[str, int]:
    """Key -> task of every row that belongs to a group, in the order of the batch.

    Args:
        batch: rows of the queue.
        task_of: uid -> task of that group, or None for anything else, such as padding.
    """
    return {key: task for key in batch.keys if (task := task_of(uid_of_key(key))) is not None}


def take_rows(batch: KVBatchMeta, rows: Sequence[int] | IntArray) -> KVBatchMeta:
    """The batch of the rows with these numbers, in this order."""
    return KVBatchMeta(
        partition_id=batch.partition_id,
        keys=[batch.keys[row] for row in rows],
        tags=[batch.tags[row] for row in rows],
    )


def mini_batches(batch: KVBatchMeta, ranks: int, rows_per_rank: int) -> list[KVBatchMeta]:
    """The mini-batches that verl makes of a batch: a slice of every data-parallel rank's share.

    Args:
        batch: N rows, N divisible by `ranks`; each rank has a block of N / ranks rows.
        ranks: number of data-parallel ranks.
        rows_per_rank: rows of one rank in a mini-batch; the last mini-batch has what is left.
    """
    shares = np.arange(len(batch)).reshape(ranks, -1)
    starts = range(0, shares.shape[1], rows_per_rank)
    return [take_rows(batch, shares[:, start : start + rows_per_rank].reshape(-1)) for start in starts]


def fetch(keys: list[str], *fields: str) -> Any:
    """Read fields of rows, as nested tensors of shape (N, T*); a field that no row has is left out."""
    return tq.kv_batch_get(keys=keys, partition_id=PARTITION, select_fields=list(fields))


def put_loss_weights(batch: KVBatchMeta, task_of_row: Mapping[str, int], weights_K: FloatArray) -> KVBatchMeta:
    """Give every token of a row the loss weight of the row's task, on top of verl's rollout correction where it is on.

    The weights go into the field `rollout_is_weights`, which the policy loss reads.

    Args:
        batch: rows that have advantages.
        task_of_row: key -> task; a row without a task has weight one.
        weights_K: weight of each task, shape (K,).

    Returns:
        The batch as the queue describes it after the write.
    """
    data = fetch(batch.keys, "advantages", "rollout_is_weights")
    offsets = data["advantages"].offsets()
    weight_N = [weights_K[task_of_row[key]] if key in task_of_row else 1.0 for key in batch.keys]
    weights = torch.tensor(weight_N, dtype=torch.float32).repeat_interleave(offsets.diff())
    if "rollout_is_weights" in data:
        weights = weights * data["rollout_is_weights"].values()
    return put(batch, rollout_is_weights=torch.nested.nested_tensor_from_jagged(weights, offsets))


def put(batch: KVBatchMeta, **fields: torch.Tensor) -> KVBatchMeta:
    """Write fields of rows, nested tensors of shape (N, T*), and return the batch as the queue then describes it."""
    columns = TensorDict(dict(fields), batch_size=len(batch))
    return tq.kv_batch_put(keys=batch.keys, partition_id=PARTITION, fields=columns)


def put_row_without_fields(key: str, tag: dict[str, Any]) -> KVBatchMeta:
    """Put a row that has only a tag, and return the batch of this row alone."""
    tq.kv_put(key=key, partition_id=PARTITION, tag=tag)
    return KVBatchMeta(partition_id=PARTITION, keys=[key], tags=[tag])
