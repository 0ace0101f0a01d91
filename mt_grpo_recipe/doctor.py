"""`mt-grpo doctor`: what is wrong with this machine or with a training command, and how to fix it."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from mt_grpo_recipe.config import MTGRPOConfig, load_config, naming_the_option, unread_settings
from mt_grpo_recipe.cpu import requested as cpu_requested
from mt_grpo_recipe.machine_checks import (
    Problem,
    check_checkout,
    check_cluster,
    check_device,
    check_packages,
    check_plugin,
    check_python,
    check_shared_memory,
)

if TYPE_CHECKING:
    from mt_grpo_recipe.verl_plugin.checks.rows import RowForm
    from mt_grpo_recipe.verl_plugin.data_rows import Contents

logger = logging.getLogger(__name__)


def compose_config(overrides: list[str]) -> DictConfig:
    """Compose verl's training config as `python -m verl.trainer.main_ppo OVERRIDES` would."""
    import verl  # noqa: F401 (it loads the plugin, which shows Hydra where the methods are)

    if not _are_named(overrides, "mt_grpo"):
        overrides = ["+mt_grpo=mt_grpo", *overrides]
    if cpu_requested() and not _are_named(overrides, "platform"):
        overrides = ["+platform=cpu", *overrides]
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=overrides)


def _are_named(overrides: list[str], *options: str) -> bool:
    """Whether an override gives one of the options a value, with `+` or `++` before its name or without."""
    return any(override.lstrip("+").partition("=")[0] in options for override in overrides)


EXAMPLE = """\
example:
  mt-grpo doctor +mt_grpo=mt_grpo_lean actor_rollout_ref.rollout.name=vllm \\
    data.train_files=train.parquet data.val_files=test.parquet

Without overrides it checks the machine alone. With some, +mt_grpo=mt_grpo is assumed if they name no method.
The exit status is 1 if anything is wrong, else 0.
"""
DATA_FILES = ("data.train_files", "data.val_files")


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
            ConfigError: because a setting of `mt_grpo` does not exist.
        """
        try:
            return compose_config(self._overrides)
        except (HydraException, OmegaConfBaseException) as error:
            self._refuse_unknown_settings()
            raise Problem(f"the config does not compose: {error}", "correct the override that is named") from error

    def _refuse_unknown_settings(self) -> None:
        """Name the settings of `mt_grpo` that there are if one does not exist, which Hydra advises to add."""
        added = [f"++{override}" if override.startswith("mt_grpo.") else override for override in self._overrides]
        with suppress(HydraException, OmegaConfBaseException):
            load_config(compose_config(added).get("mt_grpo"))

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
        for sentence in self._unknown_options():
            logger.warning(sentence)
        set_defaults(config)
        warn_of_options_without_effect(config, mt_grpo)
        check_training_config(config, mt_grpo)
        if not cpu_requested():
            devices.check_attention(config)
        sampler = mt_grpo.sampler
        kept = f"informative groups ({sampler.informative})" if sampler.drop_uninformative else "every group"
        summary = f"rule {mt_grpo.weights.rule}, {sampler.schedule}, trains on {kept}, ratio {sampler.ratio}"
        return ". ".join(filter(None, (summary, unread_settings(mt_grpo))))

    def _unknown_options(self) -> list[str]:
        """A sentence about each option that `+` adds to sections of verl that have none of that name."""
        from mt_grpo_recipe.verl_plugin.checks.added import unknown_options, without_values

        if not any(override.startswith("+") for override in self._overrides):
            return []
        plain = compose_config(without_values(self._overrides, self.config))
        return unknown_options(self._overrides, self.config, plain)

    def check_data(self) -> str:
        """The data files exist, a run can use their rows, and the settings of `mt_grpo` fit the tasks in them."""
        from mt_grpo_recipe.verl_plugin.checks import check_data, numbered
        from mt_grpo_recipe.verl_plugin.checks.datasets import dataset_class, makes_prompts, reads_files_by_task
        from mt_grpo_recipe.verl_plugin.checks.rows import RowForm
        from mt_grpo_recipe.verl_plugin.data_rows import drawn_rows
        from mt_grpo_recipe.verl_plugin.dataset import is_local
        from mt_grpo_recipe.verl_plugin.task_loader import group_rows

        data, mt_grpo = self.config.data, self.mt_grpo
        kind = dataset_class(self.config)
        if not reads_files_by_task(kind):
            return f"{kind.__name__} reads the files; its rows are checked when a run starts"
        form = RowForm.of(self.config, makes_prompts(kind))
        train, train_faults = _read(data.train_files, form, mt_grpo.task_key, mt_grpo.tasks)
        test, test_faults = _read(data.val_files, form, mt_grpo.task_key, None)
        if faults := train_faults + test_faults:
            remedy = "correct the files or mt_grpo.task_key, or make data: mt-grpo prepare -o DIR"
            raise Problem(numbered(list(dict.fromkeys(faults))), remedy)
        sources = {source for file in train + test for source in file.data_sources}
        if away := [file for file in _files(data.train_files) + _files(data.val_files) if not is_local(file)]:
            check_data(self.config, None, sources)
            return f"not checked, since they are read when a run starts: {', '.join(away)}"
        names, test_names = ([task for file in files for task in file.tasks] for files in (train, test))
        validated = {test_names[row] for row in drawn_rows(test_names, data.val_max_samples, mt_grpo.seed)}
        kept = drawn_rows(names, data.train_max_samples, mt_grpo.seed)
        rows_of = group_rows([names[row] for row in kept], mt_grpo.tasks)
        check_data(self.config, sum(map(len, rows_of.values())), sources)
        self._check_tasks({task: len(rows) for task, rows in rows_of.items()})
        if unseen := [task for task in rows_of if validated and task not in validated]:
            logger.warning("data.val_files has no row of %s: validation says nothing about them.", ", ".join(unseen))
        return ", ".join(f"{task}: {len(rows)} rows" for task, rows in rows_of.items())

    def _check_tasks(self, rows_of: Mapping[str, int]) -> None:
        """Build the controller of the run: it refuses weights, stages and targets that do not fit the tasks.

        Args:
            rows_of: task -> its training rows, in the order of the run.

        Raises:
            ConfigError: a setting does not fit.
        """
        from mt_grpo_recipe.algorithm.controller import TaskController
        from mt_grpo_recipe.verl_plugin.defaults import ASYNC_MODE, mini_batches_per_sync

        beside = self.config.trainer.v1.trainer_mode == ASYNC_MODE
        batch_size = self.config.data.train_batch_size // (mini_batches_per_sync(self.config) if beside else 1)
        with naming_the_option():
            TaskController(list(rows_of), batch_size, self.mt_grpo, carries_over=beside, rows_K=list(rows_of.values()))


def _read(
    value: object, form: RowForm, task_key: list[str], used: list[str] | None
) -> tuple[list[Contents], list[str]]:
    """The contents of the data files that are here, and a sentence about each thing that cannot be trained on."""
    from mt_grpo_recipe.verl_plugin.data_rows import contents
    from mt_grpo_recipe.verl_plugin.dataset import file_faults, is_local, read_file, rows_of_file

    read, faults, table_of = [], [], {}
    for file in filter(is_local, _files(value)):
        if not Path(file).exists():
            faults.append(f"{file} does not exist.")
            continue
        try:
            table_of[file] = read_file(file)
            read.append(contents(rows_of_file(table_of[file]), task_key, file, used))
        except ValueError as error:
            faults.append(str(error))
    return read, faults + file_faults(table_of, form)


def _files(value: object) -> list[str]:
    """The files that an option names: one, a list of them, or none."""
    files = value if isinstance(value, list | ListConfig) else [] if value is None else [value]
    return [os.path.expanduser(str(file)) for file in files]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mt-grpo doctor`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
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
    ]
    if args.overrides:
        checks.append(("config", command.check_settings))
    if _are_named(args.overrides, *DATA_FILES):
        checks.append(("data", command.check_data))
    return checks


def run(args: argparse.Namespace) -> int:
    """Print one line per check; the exit status is 1 if there is a problem, else 0."""
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    told = set()
    for name, check in checks_of(args):
        try:
            console.print(f"[green]ok[/]      {name}: {escape(check())}")
            continue
        except Problem as problem:
            text = "\n        to fix it: ".join(problem.args)
        except (ValueError, ImportError, FileNotFoundError, SyntaxError) as error:
            text = str(error)
        if text in told:
            console.print(f"[yellow]skipped[/] {name}: the problem above stands in the way")
        else:
            console.print(f"[red]problem[/] {name}: {escape(text)}")
        told.add(text)
    if args.verl is None and not args.overrides:
        console.print(
            "[yellow]skipped[/] config: there is no command to check; give its overrides: mt-grpo doctor OVERRIDES..."
        )
    elif args.verl is None and not _are_named(args.overrides, *DATA_FILES):
        console.print(f"[yellow]skipped[/] data: no override names {' or '.join(DATA_FILES)}")
    return 1 if told else 0
