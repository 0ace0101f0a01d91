"""Accuracy of each task on the validation data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mt_grpo_recipe.metrics import AVERAGE_ACCURACY, TASK_ACCURACY, WORST_TASK_ACCURACY, task_slugs
from mt_grpo_recipe.verl_plugin.task_loader import task_name


class RecordingLoader:
    """A dataloader that remembers the batches of its latest pass, so that what verl adds to them can be read.

    Args:
        loader: the dataloader that gives the batches.
    """

    def __init__(self, loader: Any):
        self._loader = loader
        self.batches: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.batches = []
        for batch in self._loader:
            self.batches.append(batch)
            yield batch


class Validated(NamedTuple):
    """What a validation found, by task name."""

    accuracy_of: dict[str, float]
    """Mean accuracy of the task's rollouts; one that failed counts as 0, as in verl's `acc`."""
    start_of: dict[str, float]
    """Mean accuracy of those that ended; not of a task of which more than half failed, which says little of the
    policy."""


def task_accuracy(
    batches: Iterable[Mapping[str, Any]],
    accuracies_of: Mapping[str, Sequence[float]],
    rollouts_of: Mapping[str, int],
    task_key: Sequence[str],
) -> Validated:
    """Accuracy of each task in a validation.

    Args:
        batches: validation batches, column name -> values of the rows; verl has added the column `uid`.
        accuracies_of: uid of a prompt -> accuracy of each of its rollouts that ended; none if all failed.
        rollouts_of: uid of a prompt -> rollouts that were asked for.
        task_key: fields that name a row's task, as in `task_name`.
    """
    right: defaultdict[str, float] = defaultdict(float)
    asked: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for batch in batches:
        for row, uid in enumerate(batch["uid"]):
            task = task_name({name: column[row] for name, column in batch.items()}, task_key)
            right[task] += sum(accuracies_of.get(uid, ()))
            ended[task] += len(accuracies_of.get(uid, ()))
            asked[task] += rollouts_of[uid]
    start_of = {task: right[task] / ended[task] for task in asked if 2 * ended[task] >= asked[task]}
    return Validated({task: right[task] / asked[task] for task in asked}, start_of)


def accuracy_metrics(accuracy_of: Mapping[str, float], tasks: Sequence[str]) -> dict[str, float]:
    """What a validation logs: the accuracy of every task, and the worst and average over those that are trained.

    Args:
        accuracy_of: accuracy of each task of the validation data.
        tasks: the tasks that are trained, which have the slugs that they have in training.
    """
    slugs = task_slugs([*tasks, *(task for task in accuracy_of if task not in tasks)])
    metrics = {TASK_ACCURACY.of(slugs[task]): accuracy for task, accuracy in accuracy_of.items()}
    trained = [accuracy_of[task] for task in tasks if task in accuracy_of]
    if trained:
        metrics[WORST_TASK_ACCURACY.name] = min(trained)
        metrics[AVERAGE_ACCURACY.name] = float(np.mean(trained))
    return metrics
