"""The resampling dataloader: hands out prompts of the tasks that were asked for, in that order."""

from __future__ import annotations

import math
import reprlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.state import StateMismatch
from mt_grpo_recipe.config import ConfigError


def task_name(row: Mapping[str, Any], task_key: Sequence[str]) -> str:
    """Name of a row's task: the fields of `task_key`, joined with "-"; dots lead into nested fields.

    Raises:
        ConfigError: a field is missing, which lists what the row has, or it holds no name: blank text, text with
            blanks around it, or neither text nor a number.
    """
    parts = []
    for path in task_key:
        value: Any = row
        for part in path.split("."):
            if not isinstance(value, Mapping) or value.get(part) is None:
                has = (
                    sorted(map(str, value)) if isinstance(value, Mapping) else f"a value of type {type(value).__name__}"
                )
                raise ConfigError(
                    f"mt_grpo.task_key={list(task_key)} names the field {path!r}, but a row of the data has no "
                    f"{part!r} there; it has {has}. Name fields that every row has, such as [extra_info.task], or "
                    "[extra_info.difficulty,extra_info.type] for the data released with the paper."
                )
            value = value[part]
        if not _is_name(value):
            raise ConfigError(
                f"mt_grpo.task_key={list(task_key)} names the field {path!r}, which is {reprlib.repr(value)}, of type "
                f"{type(value).__name__}, in a row of the data. The name of a task is text with no blank before or "
                "after it, or a number. Correct the row, or name a field that every row has such a name in."
            )
        parts.append(str(value))
    return "-".join(parts)


def _is_name(value: Any) -> bool:
    """Whether a field can be a task's name, or a part of it."""
    if isinstance(value, str):
        return value != "" and value == value.strip()
    return isinstance(value, Real | Decimal | np.bool_) and math.isfinite(value)


def group_rows(names: Sequence[str], tasks: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Row numbers of each task to train, in the order of `tasks`, or of first appearance.

    Args:
        names: task of every row.
        tasks: tasks to train; None: all.

    Raises:
        ConfigError: a task has no rows.
    """
    found: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        found.setdefault(name, []).append(row)
    unknown = [task for task in tasks or [] if task not in found]
    if unknown or not found:
        raise ConfigError(
            f"mt_grpo.tasks names {unknown}, but data.train_files has no row of them. The data has: {sorted(found)}. "
            "Take names from that list, add the missing data, or leave mt_grpo.tasks=null to train all of them."
        )
    return {task: np.asarray(found[task], dtype=np.int64) for task in tasks or found}


class TaskLoader:
    """Takes the place of verl's train dataloader; each `next` gives one prompt of the next task in the queue.

    Every task goes through its rows in a seeded random order, without replacement; when all are used a new order
    starts. Nothing is prefetched: a row is read when it is asked for.

    Args:
        rows_of: row numbers of each task.
        read: row number -> the row, as the dataset gives it.
        collate: list of rows -> verl's batch dict.
        seed: seed of the orders.
        digest_of: task -> digest of its rows, by which a resumed run recognises them.
    """

    def __init__(
        self,
        rows_of: Mapping[str, np.ndarray],
        read: Callable[[int], dict[str, Any]],
        collate: Callable[[list[dict[str, Any]]], dict[str, Any]],
        seed: int,
        digest_of: Mapping[str, str],
    ):
        self._tasks = list(rows_of)
        self._rows_of = list(rows_of.values())
        self._read = read
        self._collate = collate
        self._seed = seed
        self._digest_of = dict(digest_of)
        self._queue: deque[int] = deque()
        self._drawn = [0] * len(self._tasks)
        self._order: list[tuple[int, np.ndarray] | None] = [None] * len(self._tasks)
        self.given: list[int] = []
        """Row numbers handed out, in order, since the trainer last emptied it."""

    def request(self, tasks: Sequence[int]) -> None:
        """Queue one prompt of each of these tasks (indices), in this order."""
        self._queue.extend(tasks)

    def next_row(self, task: int) -> int:
        """Take the task's next row number."""
        rows = self._rows_of[task]
        epoch, position = divmod(self._drawn[task], len(rows))
        order = self._order[task]
        if order is None or order[0] != epoch:
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, 1, task, epoch]))
            order = self._order[task] = (epoch, rng.permutation(rows))
        self._drawn[task] += 1
        return int(order[1][position])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        if not self._queue:
            raise RuntimeError("TaskLoader was asked for a prompt before a task was requested")
        row = self.next_row(self._queue.popleft())
        self.given.append(row)
        return self._collate([self._read(row)])

    def state_dict(self) -> dict[str, Any]:
        """How many prompts each task has given, of how many rows, and the digest of those."""
        return {
            "seed": self._seed,
            "rows": {task: len(rows) for task, rows in zip(self._tasks, self._rows_of, strict=True)},
            "digests": self._digest_of,
            "drawn": dict(zip(self._tasks, self._drawn, strict=True)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Raises:
            StateMismatch: the state belongs to other data, another seed or another loader.
        """
        mine = self.state_dict()
        if state.get("seed") != mine["seed"] or state.get("rows") != mine["rows"]:
            raise StateMismatch(
                "The checkpoint's data order belongs to different data and cannot be resumed: it has seed "
                f"{state.get('seed')} and rows {state.get('rows')}, this run has seed {mine['seed']} and rows "
                f"{mine['rows']}. Restore data and seed, or start afresh with trainer.resume_mode=disable."
            )
        changed = [task for task in self._tasks if state.get("digests", {}).get(task) != self._digest_of[task]]
        if changed:
            raise StateMismatch(
                f"The training rows of {', '.join(changed)} are as many as in the checkpoint, but not the same: their "
                "content or their order has changed, so that the place in the data is lost. Restore the data, or start "
                "afresh with trainer.resume_mode=disable."
            )
        self._queue.clear()
        self._drawn = [state["drawn"][task] for task in self._tasks]
