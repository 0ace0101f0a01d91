"""What `torch.cuda` is to the CUDA platform: the device module of the CPU platform.

verl asks its device module for streams, memory figures and random state. `torch.cpu` has the first; the rest is here.
The memory figures are for this process and this machine, in bytes.
"""

import os
import resource
from typing import Any

import torch
from torch.cpu import Event, Stream, current_device, current_stream, device_count, is_available, stream, synchronize

__all__ = [
    "Event",
    "Stream",
    "current_device",
    "current_stream",
    "device_count",
    "empty_cache",
    "get_device_name",
    "get_rng_state",
    "ipc_collect",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "set_device",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "stream",
    "synchronize",
]


def set_device(device: Any) -> None:
    """Nothing to choose: there is one CPU device."""


def empty_cache() -> None:
    """Nothing to release: the CPU allocator hands freed memory back by itself."""


def ipc_collect() -> None:
    """Nothing to collect: weights travel through shared memory, not device IPC handles."""


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Nothing to set: the operating system limits a process's memory."""


def get_device_name(device: Any = None) -> str:
    """The name that profiles and logs show for the device."""
    return "cpu"


def get_rng_state(device: Any = None) -> torch.Tensor:
    """State of torch's CPU generator, which is the device's own."""
    return torch.get_rng_state()


def set_rng_state(new_state: torch.Tensor, device: Any = None) -> None:
    """Restore torch's CPU generator."""
    torch.set_rng_state(new_state)


def manual_seed(seed: int) -> None:
    """Seed torch's CPU generator."""
    torch.manual_seed(seed)


manual_seed_all = manual_seed


def memory_allocated(device: Any = None) -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


memory_reserved = memory_allocated


def max_memory_allocated(device: Any = None) -> int:
    """Largest resident memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


max_memory_reserved = max_memory_allocated


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total physical memory of the machine."""
    page = os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
