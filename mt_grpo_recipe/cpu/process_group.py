"""torch.distributed on the CPU platform."""

import functools
from collections.abc import Callable
from typing import Any

import torch.distributed as dist


def accept_gloo_for_cpu() -> None:
    """Let `init_process_group` take the backend string that verl builds on the CPU platform.

    verl joins a CPU part and an accelerator part, "cpu:gloo,<device>:<backend>". Where the accelerator is the CPU
    itself that reads "cpu:gloo,cpu:gloo", and torch refuses a device named twice. Calling this again changes nothing.
    """
    original: Callable[..., None] = dist.init_process_group
    if hasattr(original, "_gloo_for_cpu"):
        return

    @functools.wraps(original)
    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> None:
        original("gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)

    init_process_group._gloo_for_cpu = True  # pyright: ignore[reportAttributeAccessIssue]
    dist.init_process_group = init_process_group
