"""A dataset class of the user's own, in `data.custom_cls`: what it must be for prompts to be drawn from it by task."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig
from torch.utils.data import Dataset, IterableDataset
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.import_utils import load_module

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig


def dataset_class(config: DictConfig) -> type:
    """The class that `data.custom_cls` names; verl's own where it names none.

    Raises:
        ConfigError: it cannot be loaded, or prompts cannot be drawn from it by row number.
    """
    chosen = config.data.custom_cls
    if chosen.path is None:
        return RLHFDataset
    given = f"data.custom_cls.path={chosen.path}, data.custom_cls.name={chosen.name}"
    try:
        kind: Any = getattr(load_module(chosen.path), str(chosen.name), None)
    except (OSError, ImportError, RuntimeError) as error:  # verl raises a RuntimeError where the module fails.
        cause = f" ({error.__cause__!r})" if error.__cause__ else ""
        raise ConfigError(f"{given}: {error}{cause}. Give a module that can be loaded.") from error
    if not isinstance(kind, type) or not issubclass(kind, Dataset):
        raise ConfigError(f"{given}: no subclass of torch.utils.data.Dataset has that name there. Name one.")
    if issubclass(kind, IterableDataset) or not hasattr(kind, "__len__") or kind.__getitem__ is Dataset.__getitem__:
        raise ConfigError(
            f"{given}: prompts are drawn by row number, task by task, which needs __len__ and __getitem__ and no "
            "IterableDataset. Add the two, or derive the class from mt_grpo_recipe.verl_plugin.dataset.TaskDataset."
        )
    return kind


def reads_files_by_task(kind: type) -> bool:
    """Whether a dataset class is the plugin's, or derived from it."""
    # Imported here because that module imports this package.
    from mt_grpo_recipe.verl_plugin.dataset import TaskDataset

    return issubclass(kind, TaskDataset)


def reads_files(kind: type) -> bool:
    """Whether a dataset class is verl's or derived from it, which reads the files that `data` names."""
    return issubclass(kind, RLHFDataset)


def makes_prompts(kind: type) -> bool:
    """Whether a dataset class has a way of its own from a row of the files to a prompt."""
    return any(getattr(kind, name) is not getattr(RLHFDataset, name) for name in ("__getitem__", "_build_messages"))


def _own_dataset(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    data = config.data
    try:
        kind = dataset_class(config)
    except ConfigError as error:
        return str(error)
    limited = [name for name in ("train_max_samples", "val_max_samples") if data[name] > 0]
    if not limited or reads_files_by_task(kind) or not data.shuffle or data.seed is not None:
        return None
    return (
        f"data.{limited[0]}={data[limited[0]]} with data.seed=null and {kind.__name__} for a dataset: verl draws "
        "other rows at every start, so that no run could be resumed. Give data.seed, or take the first rows with "
        "data.shuffle=False."
    )


RULES = (_own_dataset,)
