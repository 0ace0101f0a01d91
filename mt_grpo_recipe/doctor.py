"""`mt-grpo doctor`: what is wrong with this machine or with a training command, and how to mend it."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pyarrow.parquet as pq
from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from packaging.version import Version
from rich.console import Console

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig, load_config
from mt_grpo_recipe.cpu import requested as cpu_requested

SEARCH_PATH = "hydra.searchpath=[pkg://mt_grpo_recipe.config]"
SHARED_MEMORY_GIB = 1.0


class Problem(Exception):
    """Something that would break a run. Arguments: what is wrong, how to mend it."""


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
    if Version(found["verl"]).public != "0.9.1":
        raise Problem(f"verl {found['verl']} is installed", "pip install verl==0.9.1")
    if cpu_requested():
        if "cpu" not in found["vllm"]:
            raise Problem(f"vllm {found['vllm']} is a GPU build", "bash run_scripts/setup.sh cpu")
        for name in ("torchvision", "torchaudio", "torchcodec"):
            if importlib.util.find_spec(name):
                raise Problem(f"{name} is installed and breaks the CPU build of torch", f"pip uninstall -y {name}")
    return ", ".join(f"{name} {version}" for name, version in found.items())


def check_plugin() -> str:
    """verl found the plugin, and has every private name that it uses."""
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

    from mt_grpo_recipe.verl_plugin.contract import contract_breaches, installed_source

    if "mt_grpo" not in TRAINER_REGISTRY:
        policy = os.environ.get("VERL_USE_EXTERNAL_PLUGINS", "auto")
        if policy not in ("auto", ""):
            raise Problem(f"VERL_USE_EXTERNAL_PLUGINS={policy} keeps the plugin out", "unset it, or add mt_grpo to it")
        raise Problem("verl does not know trainer mode mt_grpo", "pip install -e . in this environment")
    breaches = contract_breaches(installed_source())
    if breaches:
        raise Problem(" ".join(breaches), "pip install --force-reinstall verl==0.9.1")
    return "trainer mode, advantage estimator and policy loss mt_grpo are registered"


def check_device() -> str:
    """There is an accelerator, or the CPU platform is asked for."""
    import torch

    if cpu_requested():
        return "CPU platform (VERL_PLATFORM=cpu)"
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    raise Problem("no GPU is visible to torch", "on a CPU machine run `source run_scripts/common.sh && use_cpu` first")


def check_shared_memory() -> str:
    """Ray's object store and weight transfer live in /dev/shm."""
    free_gib = shutil.disk_usage("/dev/shm").free / 2**30
    if free_gib < SHARED_MEMORY_GIB:
        raise Problem(
            f"/dev/shm has {free_gib:.1f} GiB free, {SHARED_MEMORY_GIB:.0f} GiB is the least",
            "mount -o remount,size=8G /dev/shm (in a container: --shm-size=8g)",
        )
    return f"/dev/shm: {free_gib:.1f} GiB free"


def check_cluster() -> str:
    """Every node of the Ray cluster has the plugin."""
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return "no RAY_ADDRESS: a run starts Ray on this machine"
    import ray

    from mt_grpo_recipe.verl_plugin.checks import check_nodes

    ray.init(address=address, log_to_driver=False)
    check_nodes()
    return f"{len(ray.nodes())} node(s) at {address} have the plugin"


def compose_config(overrides: list[str]) -> DictConfig:
    """Compose verl's training config as `python -m verl.trainer.main_ppo OVERRIDES` would."""
    overrides = [o for o in overrides if not o.startswith("hydra.searchpath=")]
    if not any(o.startswith("+mt_grpo=") for o in overrides):
        overrides = ["+mt_grpo=mt_grpo", *overrides]
    if cpu_requested() and not any(o.startswith("+platform=") for o in overrides):
        overrides = ["+platform=cpu", *overrides]
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=[SEARCH_PATH, *overrides])


def check_config(overrides: list[str]) -> str:
    """The training command composes and its settings agree with each other."""
    from mt_grpo_recipe.verl_plugin.checks import check_training_config

    try:
        config = compose_config(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise Problem(f"the config does not compose: {error}", "correct the override named") from error
    mt_grpo = load_config(config.get("mt_grpo"))
    check_training_config(config, mt_grpo)
    return f"rule {mt_grpo.weights.rule}, filter {mt_grpo.sampler.filter}, ratio {mt_grpo.sampler.ratio}"


def _files(value: object) -> list[Path]:
    files = [value] if isinstance(value, str) else list(value or [])  # type: ignore[call-overload]
    return [Path(os.path.expanduser(str(file))) for file in files]


def _read_rows(file: Path, columns: list[str]) -> Iterator[dict]:
    if not file.exists():
        raise Problem(f"{file} does not exist", "mt-grpo prepare --help, or correct data.train_files / data.val_files")
    names = pq.read_schema(file).names
    missing = [column for column in columns if column not in names]
    if missing:
        raise Problem(
            f"{file} has no column {missing}; it has {names}", "name the columns with data.prompt_key and such"
        )
    yield from pq.read_table(file, columns=columns).to_pylist()


def check_data_files(overrides: list[str]) -> str:
    """The data files exist, every row names its task, and a reward function knows every data source."""
    from mt_grpo_recipe.verl_plugin.checks import check_data
    from mt_grpo_recipe.verl_plugin.task_loader import group_rows, task_name

    config = compose_config(overrides)
    mt_grpo: MTGRPOConfig = load_config(config.mt_grpo)
    source_key = config.data.reward_fn_key
    columns = sorted({path.split(".")[0] for path in mt_grpo.task_key} | {source_key})
    train = [row for file in _files(config.data.train_files) for row in _read_rows(file, columns)]
    rows_of = group_rows([task_name(row, mt_grpo.task_key) for row in train], mt_grpo.tasks)
    test = [row for file in _files(config.data.val_files) for row in _read_rows(file, columns)]
    sources = {row[source_key] for row in train + test}
    check_data(config, sum(map(len, rows_of.values())), sources)
    return ", ".join(f"{task}: {len(rows)} rows" for task, rows in rows_of.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mt-grpo doctor`."""
    parser.add_argument(
        "overrides", nargs="*", help="overrides of a training command, as given to python -m verl.trainer.main_ppo"
    )


def run(args: argparse.Namespace) -> int:
    """Print one line a check; the exit status is the number of problems, at most 1."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", check_python),
        ("packages", check_packages),
        ("device", check_device),
        ("plugin", check_plugin),
        ("shared memory", check_shared_memory),
        ("ray", check_cluster),
        ("config", lambda: check_config(args.overrides)),
    ]
    if any(override.startswith("data.train_files=") for override in args.overrides):
        checks.append(("data", lambda: check_data_files(args.overrides)))
    console = Console(soft_wrap=True, highlight=False)
    problems = 0
    for name, check in checks:
        try:
            console.print(f"[green]ok[/]      {name}: {check()}")
        except Problem as problem:
            problems += 1
            what, mend = problem.args
            console.print(f"[red]problem[/] {name}: {what}\n        to mend it: {mend}")
        except (ConfigError, ValueError, ImportError) as error:
            problems += 1
            console.print(f"[red]problem[/] {name}: {error}", markup=True)
    return min(problems, 1)
