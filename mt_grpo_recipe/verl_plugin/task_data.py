"""What the trainer learns from its two data sets at start."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.verl_plugin.checks import check_data
from mt_grpo_recipe.verl_plugin.data_rows import Contents, contents, row_text
from mt_grpo_recipe.verl_plugin.dataset import TaskDataset
from mt_grpo_recipe.verl_plugin.task_loader import group_rows

logger = logging.getLogger(__name__)
NEEDED = ("raw_prompt", "index", "data_source", "reward_model")
"""What verl's trainers and rollouts read from every row."""
PROBED = 256
"""Rows of a dataset of one's own that are read again, to see what changes from read to read."""


@dataclass(frozen=True)
class TaskData:
    """What a run trains on and validates with."""

    rows_of: dict[str, np.ndarray]
    """Row numbers of each task to train."""
    train_digest_of: dict[str, str]
    """Task -> digest of its training rows."""
    validation_digest_of: dict[str, str]
    """Task -> digest of its validation rows."""


def read_task_data(config: DictConfig, mt_grpo: MTGRPOConfig, train: Any, validation: Any) -> TaskData:
    """Read both data sets once, and refuse what cannot be trained on.

    Args:
        config: verl's whole training config.
        mt_grpo: the checked section `mt_grpo`.
        train, validation: the data sets, of verl's class, the plugin's or the user's.

    Raises:
        ConfigError: a row lacks its task or what verl reads from it, a task has no rows, or what `check_data` refuses.
    """
    trained = _contents(train, "data.train_files", mt_grpo.task_key, mt_grpo.tasks)
    validated = _contents(validation, "data.val_files", mt_grpo.task_key)
    rows_of = group_rows(trained.tasks, mt_grpo.tasks)
    check_data(config, sum(map(len, rows_of.values())), trained.data_sources | validated.data_sources)
    if unseen := [task for task in rows_of if task not in validated.digest_of]:
        logger.warning(
            "data.val_files has no row of %s: worst_task_acc and avg_acc are over the other tasks.", ", ".join(unseen)
        )
    train_digest_of = {task: trained.digest_of[task] for task in rows_of}
    return TaskData(rows_of, train_digest_of, validated.digest_of)


def _contents(dataset: Any, option: str, task_key: Sequence[str], used: Sequence[str] | None = None) -> Contents:
    """As `contents`, of a data set whose files this option names."""
    return contents(rows_of_dataset(dataset, option), task_key, option, used, varying_columns(dataset, option))


def rows_of_dataset(dataset: Any, option: str) -> Iterator[Mapping[str, Any]]:
    """All rows, in order: from the plugin's dataset as they are in the files, from another as it gives them.

    Args:
        dataset: the data set.
        option: where its files are named, for the error.

    Raises:
        ConfigError: a row of another dataset lacks what verl reads from it, or has other columns than the first.
    """
    if isinstance(dataset, TaskDataset):
        yield from dataset.dataframe
        return
    columns: set[str] = set()
    for number in range(len(dataset)):
        row = dataset[number]
        columns = columns or {*row, *NEEDED}
        lacking, added = sorted(columns - set(row)), sorted(set(row) - columns)
        if lacking or added:
            differs = [f"lacks {lacking}"] * bool(lacking) + [f"has {added}, which row 0 has not"] * bool(added)
            raise ConfigError(
                f"{option}: row {number} (counted from 0) of {type(dataset).__name__} {', and '.join(differs)}. Every "
                f"row needs {', '.join(NEEDED)}, and the columns of row 0, since verl puts rows of all tasks into one "
                "batch. Give every row the same columns, as verl.utils.dataset.rl_dataset.RLHFDataset does."
            )
        yield row


def varying_columns(dataset: Any, option: str) -> set[str]:
    """Columns that another read of a row gives otherwise, such as a prompt with shuffled choices.

    Of the plugin's own dataset there are none; of another, up to 256 rows are read twice, and few rows more often.

    Args:
        dataset: the data set.
        option: where its files are named, for the log.
    """
    if isinstance(dataset, TaskDataset) or not len(dataset):
        return set()
    numbers = np.unique(np.linspace(0, len(dataset) - 1, PROBED, dtype=int)).tolist()
    varying: set[str] = set()
    for number in numbers:
        first, *others = (dataset[number] for _ in range(1 + -(-PROBED // (8 * len(numbers)))))
        varying |= {name for row in others for name in {*first, *row} if not _same(first.get(name), row.get(name))}
    if varying:
        logger.info("%s: %s change from read to read, so they are not compared when resuming.", option, sorted(varying))
    return varying


def _same(one: Any, other: Any) -> bool:
    return row_text({"": one}) == row_text({"": other})


def warn_of_other_validation_data(saved: Mapping[str, str], mine: Mapping[str, str]) -> None:
    """Warn of tasks whose validation rows have changed since a run was stopped.

    Args:
        saved, mine: task -> digest of its validation rows, in the checkpoint and in this run.
    """
    if changed := sorted(task for task in {**saved, **mine} if saved.get(task) != mine.get(task)):
        logger.warning(
            "The validation rows of %s have changed since the checkpoint: accuracies from here on cannot be "
            "compared with earlier ones.",
            ", ".join(changed),
        )
