"""`mt-grpo doctor`: what is wrong with this machine or with a training command, and how to fix it."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from mt_grpo_recipe.config import MTGRPOConfig, load_config, unread_settings
from mt_grpo_recipe.cpu import requested as cpu_requested

if TYPE_CHECKING:
    from mt_grpo_recipe.verl_plugin.data_rows import Contents

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
    raise Problem("no GPU is visible to torch", "on a CPU machine run `source run_scripts/common.sh && use_cpu` first")


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

    ray.init(address=address, log_to_driver=False)
    check_nodes()
    return f"{len(ray.nodes())} node(s) at {address} have the plugin"


def compose_config(overrides: list[str]) -> DictConfig:
    """Compose verl's training config as `python -m verl.trainer.main_ppo OVERRIDES` would."""
    import verl  # noqa: F401 (it loads the plugin, which shows Hydra where the methods are)

    if not any(o.startswith("+mt_grpo=") for o in overrides):
        overrides = ["+mt_grpo=mt_grpo", *overrides]
    if cpu_requested() and not any(o.startswith("+platform=") for o in overrides):
        overrides = ["+platform=cpu", *overrides]
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=overrides)


class TrainingCommand:
    """A training command and what it composes to.

    Args:
        overrides: as given to `python -m verl.trainer.main_ppo`.
    """

    def __init__(self, overrides: list[str]):
        self._overrides = overrides

    @cached_property
    def config(self) -> DictConfig:
        """verl's whole training config.

        Raises:
            Problem: it does not compose.
        """
        try:
            return compose_config(self._overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise Problem(f"the config does not compose: {error}", "correct the override that is named") from error

    @cached_property
    def mt_grpo(self) -> MTGRPOConfig:
        """The checked section `mt_grpo`."""
        return load_config(self.config.get("mt_grpo"))

    def check_settings(self) -> str:
        """Its settings agree with each other."""
        from mt_grpo_recipe.verl_plugin.checks import check_training_config, devices
        from mt_grpo_recipe.verl_plugin.checks.options import warn_of_options_without_effect
        from mt_grpo_recipe.verl_plugin.defaults import set_defaults

        config, mt_grpo = self.config, self.mt_grpo
        set_defaults(config)
        warn_of_options_without_effect(config, mt_grpo)
        check_training_config(config, mt_grpo)
        if not cpu_requested():
            devices.check_attention(config)
        sampler = mt_grpo.sampler
        kept = f"informative groups ({sampler.informative})" if sampler.drop_uninformative else "every group"
        summary = f"rule {mt_grpo.weights.rule}, {sampler.schedule}, trains on {kept}, ratio {sampler.ratio}"
        return ". ".join(filter(None, (summary, unread_settings(mt_grpo))))

    def check_data(self) -> str:
        """The data files exist, every row names its task, and a reward function knows every data source."""
        from mt_grpo_recipe.verl_plugin.checks import check_data, numbered
        from mt_grpo_recipe.verl_plugin.checks.datasets import dataset_class, reads_files_by_task
        from mt_grpo_recipe.verl_plugin.data_rows import drawn_rows
        from mt_grpo_recipe.verl_plugin.task_loader import group_rows

        data, mt_grpo = self.config.data, self.mt_grpo
        kind = dataset_class(self.config)
        if not reads_files_by_task(kind):
            return f"{kind.__name__} reads the files; its rows are checked when a run starts"
        train, train_faults = _read(data.train_files, mt_grpo.task_key)
        test, test_faults = _read(data.val_files, mt_grpo.task_key)
        if faults := train_faults + test_faults:
            raise Problem(numbered(faults), "mt-grpo prepare --help, or correct data.train_files / data.val_files")
        names, test_names = ([task for file in files for task in file.tasks] for files in (train, test))
        drawn_rows(test_names, data.val_max_samples, mt_grpo.seed)
        kept = drawn_rows(names, data.train_max_samples, mt_grpo.seed)
        rows_of = group_rows([names[row] for row in kept], mt_grpo.tasks)
        sources = {source for file in train + test for source in file.data_sources}
        check_data(self.config, sum(map(len, rows_of.values())), sources)
        return ", ".join(f"{task}: {len(rows)} rows" for task, rows in rows_of.items())


def _read(value: object, task_key: list[str]) -> tuple[list[Contents], list[str]]:
    """The contents of data files, and a sentence about each file that cannot be trained on."""
    from mt_grpo_recipe.verl_plugin.data_rows import contents
    from mt_grpo_recipe.verl_plugin.dataset import read_file, rows_of_file

    read, faults = [], []
    for file in _files(value):
        if not file.exists():
            faults.append(f"{file} does not exist.")
            continue
        try:
            read.append(contents(rows_of_file(read_file(str(file))), task_key, str(file)))
        except ValueError as error:
            faults.append(str(error))
    return read, faults


def _files(value: object) -> list[Path]:
    files = [value] if isinstance(value, str) else list(value or [])  # type: ignore[call-overload]
    return [Path(os.path.expanduser(str(file))) for file in files]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mt-grpo doctor`."""
    parser.add_argument(
        "overrides", nargs="*", help="overrides of a training command, as for python -m verl.trainer.main_ppo"
    )
    parser.add_argument(
        "--verl",
        metavar="PATH",
        type=Path,
        help="only check whether a checkout of verl (the folder that holds verl/) has every name that the plugin uses; "
        "it is read, not imported",
    )


def checks_of(args: argparse.Namespace) -> list[tuple[str, Callable[[], str]]]:
    """What to check, by name.

    Raises:
        ValueError: overrides are given with `--verl`, which checks no training command.
    """
    if args.verl is not None:
        if args.overrides:
            raise ValueError(f"--verl checks no training command: leave out {' '.join(args.overrides)}")
        return [("verl", lambda: check_checkout(args.verl))]
    command = TrainingCommand(args.overrides)
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", check_python),
        ("packages", check_packages),
        ("device", check_device),
        ("plugin", check_plugin),
        ("shared memory", check_shared_memory),
        ("ray", check_cluster),
        ("config", command.check_settings),
    ]
    if any(override.startswith("data.train_files=") for override in args.overrides):
        checks.append(("data", command.check_data))
    return checks


def run(args: argparse.Namespace) -> int:
    """Print one line per check; the exit status is 1 if there is a problem, else 0."""
    console = Console(soft_wrap=True, highlight=False)
    status = 0
    for name, check in checks_of(args):
        try:
            console.print(f"[green]ok[/]      {name}: {escape(check())}")
        except Problem as problem:
            status = 1
            what, fix = map(escape, problem.args)
            console.print(f"[red]problem[/] {name}: {what}\n        to fix it: {fix}")
        except (ValueError, ImportError, FileNotFoundError, SyntaxError) as error:
            status = 1
            console.print(f"[red]problem[/] {name}: {escape(str(error))}")
    return status
