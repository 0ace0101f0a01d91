"""The TCP checkpoint engine between a sender and two receivers of one process."""

import asyncio

import pytest
import torch
from verl.checkpoint_engine.base import CheckpointEngineRegistry

from mt_grpo_recipe.cpu import checkpoint_engine
from mt_grpo_recipe.cpu.checkpoint_engine import TCPCheckpointEngine

WEIGHTS = {
    "embedding": torch.arange(12, dtype=torch.float32).view(3, 4).t(),
    "half": torch.linspace(-1, 1, 7).bfloat16(),
    "scalar": torch.tensor(3.5),
    "many": torch.randn(64, 1000),
}


@pytest.fixture(autouse=True)
def no_ray(monkeypatch):
    monkeypatch.setattr(checkpoint_engine.ray.util, "get_node_ip_address", lambda: "127.0.0.1")


def connected(receivers, timeout_s=20.0):
    """A sender, a second trainer rank, and receivers, as verl's manager would set them up."""
    trainers = [TCPCheckpointEngine(0, is_master=rank == 0, timeout_s=timeout_s) for rank in range(2)]
    rollouts = [TCPCheckpointEngine(0, timeout_s=timeout_s) for _ in range(receivers)]
    metadata = [engine.prepare() for engine in trainers + rollouts]
    for engines, arguments in zip(
        (trainers, rollouts), TCPCheckpointEngine.build_topology(2, receivers, metadata), strict=True
    ):
        for i, engine in enumerate(engines):
            engine.init_process_group(**{name: values[i] for name, values in arguments.items()})
    return trainers, rollouts


async def received(engine):
    return {name: weight async for name, weight in engine.receive_weights(global_steps=1)}


def test_verl_knows_it_by_its_name():
    assert CheckpointEngineRegistry.get("tcp") is TCPCheckpointEngine


@pytest.mark.parametrize("receivers", [1, 2])
def test_every_receiver_gets_every_weight_again_at_every_sync(receivers):
    async def sync():
        trainers, rollouts = connected(receivers)
        drained = iter(WEIGHTS.items())
        results = await asyncio.gather(
            trainers[0].send_weights(iter(WEIGHTS.items())),
            trainers[1].send_weights(drained),
            *(received(engine) for engine in rollouts),
        )
        for engine in trainers + rollouts:
            engine.finalize()
        return list(drained), results[2:]

    for _ in range(2):
        left, copies = asyncio.run(sync())
        assert left == []  # the other rank took part in gathering each weight
        for copy in copies:
            assert list(copy) == list(WEIGHTS)
            for name, weight in WEIGHTS.items():
                assert copy[name].dtype == weight.dtype
                assert torch.equal(copy[name], weight)


def test_a_missing_receiver_is_an_error_and_not_a_wait_without_end():
    async def send_alone():
        trainers, rollouts = connected(1, timeout_s=0.2)
        rollouts[0].finalize()
        try:
            await trainers[0].send_weights(iter([("big", torch.zeros(1000, 1000))] * 50))
        finally:
            trainers[0].finalize()

    with pytest.raises(TimeoutError, match=r"a rollout worker took nothing for 0\.2 s"):
        asyncio.run(send_alone())


def test_a_silent_sender_is_an_error_too():
    async def receive_alone():
        _, rollouts = connected(1, timeout_s=0.2)
        try:
            await received(rollouts[0])
        finally:
            rollouts[0].finalize()

    with pytest.raises(TimeoutError, match=r"the trainer sent nothing for 0\.2 s"):
        asyncio.run(receive_alone())
