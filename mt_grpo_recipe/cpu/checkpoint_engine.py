"""How weights reach a rollout engine of its own on the CPU: verl checkpoint engine "tcp", over TCP sockets.

verl's engines for separate rollout machines (nccl, nixl, hccl, ...) move device memory. Here the trainer's rank 0
sends each weight to every rollout worker, one message per tensor, and an empty one at the end.

    actor_rollout_ref.rollout.checkpoint_engine.backend=tcp
    actor_rollout_ref.rollout.checkpoint_engine.custom_backend_module=mt_grpo_recipe.cpu.checkpoint_engine
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any

import ray
import torch
import zmq
import zmq.asyncio
from verl.checkpoint_engine.base import CheckpointEngine, CheckpointEngineRegistry

MAX_QUEUED_TENSORS = 4
"""A receiver that lags makes the sender wait, instead of making it hold a copy of the whole model."""


@CheckpointEngineRegistry.register("tcp")  # pyright: ignore[reportAttributeAccessIssue]  (verl left out @staticmethod)
class TCPCheckpointEngine(CheckpointEngine):
    """One sender, the trainer's rank 0, and any number of receivers.

    Args:
        bucket_size: verl's bound on a message, in bytes; not used, because a message is one tensor.
        is_master: whether this trainer rank sends; None for a rollout worker, which receives.
        timeout_s: seconds of silence after which a sync fails.
    """

    def __init__(self, bucket_size: int, is_master: bool | None = None, timeout_s: float = 300.0):
        self._is_master = is_master
        self._timeout_s = timeout_s
        self._context = zmq.asyncio.Context.instance()
        self._sockets: list[zmq.asyncio.Socket] = []

    def _open(self, kind: int, address: str) -> zmq.asyncio.Socket:
        socket = self._context.socket(kind)
        socket.set_hwm(MAX_QUEUED_TENSORS)
        socket.setsockopt(zmq.IPV6, int("[" in address))
        self._sockets.append(socket)
        return socket

    def prepare(self) -> dict[str, Any]:
        """Open a rollout worker's port; a trainer rank has nothing to prepare."""
        if self._is_master is not None:
            return {}
        host = ray.util.get_node_ip_address().strip("[]")
        address = f"tcp://[{host}]" if ":" in host else f"tcp://{host}"
        port = self._open(zmq.PULL, address).bind_to_random_port(address)
        return {"address": f"{address}:{port}"}

    @classmethod
    def build_topology(
        cls, actor_wg_world_size: int, rollout_world_size: int, metadata: list[dict]
    ) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Arguments of `init_process_group`, one per trainer rank and one per rollout worker."""
        addresses = [worker["address"] for worker in metadata[actor_wg_world_size:]]
        trainers = [addresses] + [[] for _ in range(actor_wg_world_size - 1)]
        return {"addresses": trainers}, {"addresses": [[] for _ in range(rollout_world_size)]}

    def init_process_group(self, addresses: list[str]) -> None:
        """Connect the sender to the rollout workers.

        Args:
            addresses: those to send to; empty for all but the sender.
        """
        for address in addresses:
            socket = self._open(zmq.PUSH, address)
            socket.setsockopt(zmq.IMMEDIATE, 1)  # queue nothing for a worker that is not there
            socket.connect(address)

    def finalize(self) -> None:
        """Close the sockets of this sync."""
        for socket in self._sockets:
            # All was received, or the sync has failed and nobody waits for the rest.
            socket.close(linger=0)
        self._sockets.clear()

    async def _within_timeout(self, waiting: Awaitable[Any], what: str) -> Any:
        try:
            return await asyncio.wait_for(waiting, self._timeout_s)
        except asyncio.TimeoutError as error:  # a TimeoutError from Python 3.11 on
            raise TimeoutError(f"weight sync: {what} for {self._timeout_s:g} s") from error

    async def _send_to_all(self, parts: list[Any]) -> None:
        for socket in self._sockets:
            await self._within_timeout(socket.send_multipart(parts), "a rollout worker took nothing")

    @torch.no_grad()
    async def send_weights(
        self, weights: Generator[tuple[str, torch.Tensor], None, None], global_steps: int | None = None
    ) -> None:
        """Send every weight to every receiver.

        Raises:
            TimeoutError: a receiver did not take its weights.
        """
        # A trainer rank that sends nothing runs the loop as well: gathering a sharded weight takes all ranks.
        for name, weight in weights:
            if self._is_master:
                header = json.dumps([name, str(weight.dtype).removeprefix("torch."), list(weight.shape)]).encode()
                data = weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
                await self._send_to_all([header, data])
        if self._is_master:
            await self._send_to_all([b"", b""])

    async def receive_weights(  # pyright: ignore[reportIncompatibleMethodOverride]  (verl takes either kind)
        self, global_steps: int | None = None
    ) -> AsyncGenerator[tuple[str, torch.Tensor], None]:
        """Yield every weight as (name, tensor), in the order they are sent.

        Raises:
            TimeoutError: the sender fell silent.
        """
        while True:
            parts = await self._within_timeout(self._sockets[0].recv_multipart(), "the trainer sent nothing")
            header, data = parts
            if not header:
                return
            name, dtype, shape = json.loads(header)
            yield name, torch.frombuffer(bytearray(data), dtype=getattr(torch, dtype)).view(shape)
