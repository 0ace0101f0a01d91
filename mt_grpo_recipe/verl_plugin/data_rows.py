"""What is known of the data before any row is used: the task of each row, the rows to keep, a digest of the content."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import reprlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mt_grpo_recipe.algorithm.quotas import rounded_counts
from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.verl_plugin.task_loader import task_name


def task_names(rows: Iterable[Mapping[str, Any]], task_key: Sequence[str], source: str) -> list[str]:
    """Name of the task of every row.

    Args:
        rows: the rows, in order.
        task_key: fields that name a row's task, as in `task_name`.
        source: where the rows come from, for the error: a file, or an option.

    Raises:
        ConfigError: rows lack a field; it says how many, and shows what the first of them has.
    """
    names: list[str] = []
    faulty: list[int] = []
    first = ""
    for number, row in enumerate(rows):
        try:
            names.append(task_name(row, task_key))
        except ConfigError as error:
            first = first or str(error)
            faulty.append(number)
    if faulty:
        raise ConfigError(
            f"{source}: {len(faulty)} of {len(names) + len(faulty)} rows name no task; the first is row {faulty[0]}, "
            f"counted from 0. {first}"
        )
    return names


def drawn_rows(names: Sequence[str], count: int, seed: int) -> list[int]:
    """Numbers of the rows to keep, in order: each task keeps its share, and at least one row.

    The first rows of a task in a seeded order are kept: the same seed keeps the same ones.

    Args:
        names: task of every row.
        count: rows to keep; all where it is not positive, or not below their number.
        seed: seed of the orders.

    Raises:
        ConfigError: there are more tasks than rows to keep.
    """
    if not 0 < count < len(names):
        return list(range(len(names)))
    sizes = Counter(names)
    if count < len(sizes):
        raise ConfigError(
            f"{count} rows cannot hold all {len(sizes)} tasks of the data ({', '.join(sizes)}): give "
            f"data.train_max_samples and data.val_max_samples at least {len(sizes)}, or -1 for all rows."
        )
    counts_K = rounded_counts(np.array(list(sizes.values())) / len(names), count)
    for empty in np.flatnonzero(counts_K == 0):
        counts_K[empty] += 1
        counts_K[counts_K.argmax()] -= 1
    tasks = np.asarray(names, dtype=object)
    kept: list[int] = []
    for number, (task, wanted) in enumerate(zip(sizes, counts_K, strict=True)):
        rng = np.random.default_rng(np.random.SeedSequence([seed, 3, number]))
        kept += rng.permutation(np.flatnonzero(tasks == task))[:wanted].tolist()
    return sorted(kept)


@dataclass(frozen=True)
class Contents:
    """What a data set holds."""

    tasks: list[str]
    """Task of every row."""
    data_sources: set[str]
    """Of the rows that are used."""
    digest_of: dict[str, str]
    """Task -> digest of its rows, which changes with any value in them and with their order."""


def contents(
    rows: Iterable[Mapping[str, Any]],
    task_key: Sequence[str],
    source: str,
    used: Sequence[str] | None = None,
    not_compared: Collection[str] = (),
) -> Contents:
    """Read all rows of a data set once.

    Args:
        rows: the rows, in order.
        task_key: fields that name a row's task, as in `task_name`.
        source: where the rows come from, for the error.
        used: tasks whose rows are used; None: all.
        not_compared: columns that are left out of the digests.

    Raises:
        ConfigError: a row lacks its task, or one that is used has no `data_source` or one that is not text.
    """
    digests: list[bytes] = []
    sources: list[Any] = []

    def noting() -> Iterator[Mapping[str, Any]]:
        for row in rows:
            compared = {name: value for name, value in row.items() if name not in not_compared}
            digests.append(hashlib.sha256(row_text(compared)).digest())
            sources.append(row.get("data_source"))
            yield row

    tasks = task_names(noting(), task_key, source)
    known = {row: sources[row] for row, task in enumerate(tasks) if used is None or task in used}
    _check_sources(known, len(sources), source)
    hash_of: dict[str, Any] = {}
    for task, digest in zip(tasks, digests, strict=True):
        hash_of.setdefault(task, hashlib.sha256()).update(digest)
    return Contents(tasks, set(known.values()), {task: hash_of[task].hexdigest()[:16] for task in hash_of})


def _check_sources(known: Mapping[int, Any], count: int, source: str) -> None:
    """Refuse data sources that are missing or not text; `known` has those of the rows that are used, of `count`."""
    if lacking := [row for row, given in known.items() if given is None]:
        raise ConfigError(
            f"{source}: {len(lacking)} of {count} rows have no data_source, which chooses the "
            f"reward function; the first is row {lacking[0]}, counted from 0. Fill in that column."
        )
    if other := [row for row, given in known.items() if not isinstance(given, str)]:
        given = known[other[0]]
        raise ConfigError(
            f"{source}: {len(other)} of {count} rows have a data_source that is not text; the first is row {other[0]}, "
            f"counted from 0: {reprlib.repr(given)}, of type {type(given).__name__}. Write the name of a reward "
            "function into that column."
        )


def row_text(row: Mapping[str, Any]) -> bytes:
    """The content of a row, the same at every read."""
    return json.dumps(row, sort_keys=True, default=_plain).encode()


def _plain(value: Any) -> Any:
    """A stand-in for a value that JSON cannot hold: its content, or its type where that changes between reads."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, np.generic | np.ndarray | torch.Tensor):
        return value.tolist()
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | decimal.Decimal):
        return str(value)
    return type(value).__name__
