"""Reads what the reward function returned for each rollout, in training and at validation alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import transfer_queue as tq

from mt_grpo_recipe.algorithm.accuracy import accuracy_of, judged_number
from mt_grpo_recipe.algorithm.settings import RewardSettings
from mt_grpo_recipe.verl_plugin.queue_rows import last_outputs, uid_of_key


class JudgedRollout(NamedTuple):
    """One rollout, by what its reward function returned."""

    uid: str
    """Uid of its group."""
    reward: float
    number: float
    """What it is judged by: `acc`, or the reward."""
    accuracy: float
    """In [0, 1]; NaN where the number is not finite."""


def judged_rollouts(keys: Iterable[str], partition_id: str, settings: RewardSettings) -> list[JudgedRollout]:
    """Judge the rollouts that these rows of the queue hold, one per session.

    Args:
        keys: of rows that have a reward.
        partition_id: part of the queue that they are in, "train" or "val".
        settings: the section `mt_grpo.rewards`.
    """
    keys = last_outputs(keys)
    if not keys:
        return []
    data: Any = tq.kv_batch_get(keys=keys, partition_id=partition_id, select_fields=["rm_scores", "extra_fields"])
    judged = []
    for key, scores, extra in zip(keys, data["rm_scores"], data["extra_fields"], strict=True):
        reward = float(scores.sum())
        info = getattr(extra, "data", extra).get("reward_extra_info", {})
        number = judged_number(reward, info.get("acc"))
        judged.append(JudgedRollout(uid_of_key(key), reward, number, accuracy_of(number, settings)))
    return judged
