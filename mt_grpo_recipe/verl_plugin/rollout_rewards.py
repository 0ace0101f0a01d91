"""Reads what the reward function said of each rollout, in training and at validation alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import transfer_queue as tq

from mt_grpo_recipe.algorithm.objective import is_correct
from mt_grpo_recipe.verl_plugin.queue_rows import uid_of_key


class JudgedRollout(NamedTuple):
    """One rollout, by what its reward function returned."""

    uid: str
    """Of its group."""
    reward: float
    correct: bool


def judged_rollouts(keys: Iterable[str], partition_id: str) -> list[JudgedRollout]:
    """Judge the rollouts that these rows of the queue hold, one per session.

    Args:
        keys: of rows that have a reward.
        partition_id: part of the queue that they are in, "train" or "val".
    """
    keys = last_outputs(keys)
    if not keys:
        return []
    data: Any = tq.kv_batch_get(keys=keys, partition_id=partition_id, select_fields=["rm_scores", "extra_fields"])
    judged = []
    for key, scores, extra in zip(keys, data["rm_scores"], data["extra_fields"], strict=True):
        reward = float(scores.sum())
        info = getattr(extra, "data", extra).get("reward_extra_info", {})
        judged.append(JudgedRollout(uid_of_key(key), reward, is_correct(reward, info.get("acc"))))
    return judged


def last_outputs(keys: Iterable[str]) -> list[str]:
    """The key of each session's last output: a session may have several, and all carry the reward of the last one."""
    last: dict[tuple[str, str], tuple[int, str]] = {}
    for key in keys:
        uid, session, output = key.split("_")
        if int(output) >= last.get((uid, session), (-1, ""))[0]:
            last[uid, session] = (int(output), key)
    return [key for _, key in last.values()]
