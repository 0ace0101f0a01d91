"""FSDP2's parameters in host memory on the CPU platform."""

from dataclasses import dataclass

from torch.distributed import fsdp


@dataclass
class UnpinnedOffloadPolicy(fsdp.CPUOffloadPolicy):
    """Offloads as torch's own policy does, but pins no memory: there is no accelerator to copy to."""

    def __post_init__(self) -> None:
        self.pin_memory = False


def offload_without_pinning() -> None:
    """Replace verl's policy for a reference model, which pins memory, by one that does not.

    It must come before verl imports its FSDP engine. Calling this again changes nothing.
    """
    fsdp.CPUOffloadPolicy = UnpinnedOffloadPolicy
