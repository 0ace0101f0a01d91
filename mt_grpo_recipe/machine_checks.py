"""What a machine must have for a run, one function per check: each returns what it found, or raises `Problem`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from mt_grpo_recipe.cpu import requested as cpu_requested

SHARED_MEMORY_GIB = 1.0


class Problem(Exception):
    """Something that would break a run. Arguments: what is wrong, how to fix it."""


def check_python() -> str:
    """verl 0.9.1 runs on Python 3.10 to 3.12."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 10) <= sys.version_info[:2] < (3, 13):
        raise Problem(f"Python {version}", "use Python 3.10, 3.11 or 3.12")
    return version


def check_packages() -> str:
    """What verl, vLLM and the plugin need is installed; what breaks them is not."""
    found = {}
    for name in ("verl", "torch", "vllm", "transformers", "ray", "TransferQueue", "tensordict"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise Problem(f"{name} is not installed", "bash run_scripts/setup.sh cpu (or gpu)") from None
    if cpu_requested():
        if "cpu" not in found["vllm"]:
            raise Problem(f"vllm {found['vllm']} is a GPU build", "bash run_scripts/setup.sh cpu")
        for name in ("torchvision", "torchaudio", "torchcodec"):
            if importlib.util.find_spec(name):
                raise Problem(f"{name} is installed and breaks the CPU build of torch", f"pip uninstall -y {name}")
    return ", ".join(f"{name} {version}" for name, version in found.items())


def check_plugin() -> str:
    """verl is the version that the plugin is made for, has found the plugin, and has every name that it uses."""
    from mt_grpo_recipe.verl_plugin.checks import check_version, numbered
    from mt_grpo_recipe.verl_plugin.contract import VERL_VERSION, contract_breaches, installed_source

    check_version()
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

    if "mt_grpo" not in TRAINER_REGISTRY:
        policy = os.environ.get("VERL_USE_EXTERNAL_PLUGINS", "auto")
        if policy not in ("auto", ""):
            raise Problem(f"VERL_USE_EXTERNAL_PLUGINS={policy} keeps the plugin out", "unset it, or add mt_grpo to it")
        raise Problem("verl does not know trainer mode mt_grpo", "pip install -e . in this environment")
    breaches = contract_breaches(installed_source())
    if breaches:
        raise Problem(numbered(breaches), f"pip install --force-reinstall verl=={VERL_VERSION}")
    return "trainer mode, advantage estimator and policy loss mt_grpo are registered"


def check_checkout(folder: Path) -> str:
    """Another checkout of verl has every name that the plugin uses; nothing of it is imported."""
    from mt_grpo_recipe.verl_plugin.checks import numbered
    from mt_grpo_recipe.verl_plugin.contract import PACKAGES, VERL_VERSION, checkout_source, contract_breaches

    source = checkout_source(folder)
    breaches = contract_breaches(source)
    if breaches:
        raise Problem(
            numbered(breaches), f"train with verl {VERL_VERSION}, or port the plugin and its contract to this verl"
        )
    left_out = [
        f"; {package} is not in {folder} and was left out" for package in PACKAGES if not source.covers(package)
    ]
    return f"{folder} has every name of verl that the plugin uses{''.join(left_out)}"


def check_device() -> str:
    """There is an accelerator, or the CPU platform is asked for."""
    import torch

    if cpu_requested():
        return "CPU platform (VERL_PLATFORM=cpu)"
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    raise Problem(
        "no GPU is visible to torch",
        "with a GPU, nvidia-smi must list it and torch be a CUDA build (bash run_scripts/setup.sh gpu); without one, "
        "run first: source run_scripts/common.sh && use_cpu",
    )


def check_shared_memory() -> str:
    """Ray's object store and weight transfer live in /dev/shm."""
    free_gib = shutil.disk_usage("/dev/shm").free / 2**30
    if free_gib < SHARED_MEMORY_GIB:
        raise Problem(
            f"/dev/shm has {free_gib:.1f} GiB free; a run needs {SHARED_MEMORY_GIB:.0f} GiB",
            "mount -o remount,size=8G /dev/shm (in a container: --shm-size=8g)",
        )
    return f"/dev/shm: {free_gib:.1f} GiB free"


def check_cluster() -> str:
    """Every node of the Ray cluster has the plugin."""
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return "no RAY_ADDRESS: a run starts Ray on this machine"
    import ray

    from mt_grpo_recipe.verl_plugin.nodes import check_nodes

    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, RuntimeError) as error:
        raise Problem(
            f"no Ray cluster answers at RAY_ADDRESS={address}: {str(error).splitlines()[0]}",
            "start Ray there (ray start --head), or unset RAY_ADDRESS to train on this machine",
        ) from error
    check_nodes()
    return f"{len(ray.nodes())} node(s) at {address} have the plugin"
