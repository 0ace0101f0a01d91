"""Reward workers that come back when they die.

verl starts them as Ray actors that are never restarted: once one is killed, for its memory perhaps, every group that is
sent to it fails until the run ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker

RESTARTING: dict[str, Any] = {"max_restarts": -1, "max_task_retries": 1}
"""How Ray treats a reward worker that dies: it is started again, each time, and what it was working on is tried once
more. A second death fails the groups in question, so that an answer that kills the worker is not scored for ever."""


@contextmanager
def restarting_reward_workers(trainer: Any) -> Iterator[None]:
    """Have verl build its reward manager without workers in this block, and start workers that restart at its end.

    Args:
        trainer: one of verl's; the block sets its `reward_loop_manager`.
    """
    reward = trainer.config.reward
    num_workers, reward.num_workers = reward.num_workers, 0
    try:
        yield
    finally:
        reward.num_workers = num_workers
    manager = trainer.reward_loop_manager
    manager.reward_loop_workers_class = ray.remote(**RESTARTING)(RewardLoopWorker)
    manager._init_reward_loop_workers()
