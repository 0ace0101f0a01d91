"""Reward workers that come back when they die, and that fail a rollout without a reward instead of passing it on.

verl starts them as Ray actors that are never restarted: once one is killed, perhaps for its memory, every group that is
sent to it fails until the run ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.protocol import DataProto

RESTARTING: dict[str, Any] = {"max_restarts": -1, "max_task_retries": 1}
"""How Ray treats a reward worker that dies: it is restarted each time, and what it was working on is tried once more. A
second death fails the groups in question, so that an answer that kills the worker is not scored again and again."""


class RewardWorker(RewardLoopWorker):
    """verl's worker, which would store a rollout whose reward is None without the field that all others have."""

    async def compute_score(self, data: DataProto) -> dict:
        """verl's result.

        Raises:
            ValueError: there is no reward; verl then fails the rollouts of the prompt.
        """
        result = await super().compute_score(data)
        if result["reward_score"] is None:
            raise ValueError(
                f"the reward function returned no number for data_source {data.non_tensor_batch['data_source'][-1]!r}: "
                "it must return one, or a dict with one as 'score'"
            )
        return result


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
    _start_workers(trainer.reward_loop_manager, num_workers)


def _start_workers(manager: Any, num_workers: int) -> None:
    """Give verl's manager its workers, named and spread over the nodes as verl does.

    The manager keeps the reference of what they are built from. Ray passes arguments of more than 100 kB, which verl's
    config is, through its object store, and drops them there once an actor has started if nothing refers to them; the
    actor could then not be built a second time.
    """
    manager.config_reference = ray.put(manager.config)
    worker = ray.remote(**RESTARTING)(RewardWorker)
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
    manager.reward_loop_workers = [
        worker.options(
            name=f"reward_loop_worker_{i}",
            scheduling_strategy=NodeAffinitySchedulingStrategy(nodes[i % len(nodes)], soft=True),
        ).remote(manager.config_reference, manager.reward_router_address)
        for i in range(num_workers)
    ]
