"""verl's dataset for files with different columns: every row stays as it is in its own file.

Tasks store their truth in different forms: `{"numbers": "8,73,96", "target": 50}` in one file, `{"target": "alice"}` in
another, as in the data released with the paper. verl joins its files by `datasets.concatenate_datasets`, which refuses
them. Here the files are not joined, so no field is added to a row and no value changes its type. verl's batches need
the same columns in all rows: a column that a file lacks gets the value that verl assumes when none is given.
"""

from __future__ import annotations

import copy
import logging
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
from omegaconf import OmegaConf
from verl.utils.dataset.rl_dataset import RLHFDataset

from mt_grpo_recipe.config import ConfigError, load_config
from mt_grpo_recipe.verl_plugin.checks import numbered
from mt_grpo_recipe.verl_plugin.checks.datasets import makes_prompts
from mt_grpo_recipe.verl_plugin.checks.options import refuse_another_trainer, whole_config
from mt_grpo_recipe.verl_plugin.checks.rows import RowForm
from mt_grpo_recipe.verl_plugin.data_rows import drawn_rows, task_names
from mt_grpo_recipe.verl_plugin.json_files import read_json

logger = logging.getLogger(__name__)

FILE_KINDS = {".parquet": "parquet", ".json": "json", ".jsonl": "json"}
GIVEN_OR_NOT = {"extra_info": {}, "priority": 0, "__do_sample__": True}
"""Column that verl reads if it is there -> the value that it assumes if not. The default of `agent_name` is in verl's
config; any other column is None."""
READ_OF_EXTRA_INFO = ("index", "need_tools_kwargs")
KWARGS_OF_EXTRA_INFO = ("tools_kwargs", "interaction_kwargs")
BATCH_ROWS = 1000


def is_local(name: str) -> bool:
    """Whether a data file is a path, and no address: verl downloads `hdfs://`, `datasets` reads others."""
    return "://" not in name


def read_file(name: str) -> datasets.Dataset:
    """The rows of one data file; `~` is the home directory.

    Raises:
        ValueError: its kind is not one of `FILE_KINDS`, or it cannot be read; the message names the file.
    """
    kind = FILE_KINDS.get(Path(name).suffix)
    if kind is None:
        raise ValueError(f"{name} cannot be read: data files end in {', '.join(FILE_KINDS)}")
    place = os.path.expanduser(name)
    try:
        if kind == "json":
            return read_json(place)
        if is_local(name) and pq.read_metadata(place).num_rows == 0:
            raise ValueError("it has no row")  # `datasets` fails over such a file without saying so.
        return datasets.load_dataset(kind, data_files=place, split="train")  # pyright: ignore[reportReturnType]
    except Exception as error:  # whatever the library makes of a broken file
        cause = str(error.__cause__ or error) or type(error).__name__
        raise ValueError(f"{name} cannot be read: {cause.splitlines()[0]}") from error


def rows_of_file(table: datasets.Dataset, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Every row as its file has it, an image as its bytes.

    Args:
        table: the file, as `read_file` gives it.
        columns: those to read; None: all. Where the file lacks one of them, all are read, for an error to list.
    """
    if columns is not None and set(columns) <= set(table.column_names):
        table = table.select_columns(list(columns))
    batches: Any = table.with_format("arrow").iter(BATCH_ROWS)  # Typed as if the format could only be Python's.
    for batch in batches:
        for row in batch.to_pylist():
            yield _decoded(row, table.features)


def _decoded(value: Any, feature: Any) -> Any:
    """A value in Arrow's form with its JSON text decoded, at any depth."""
    if value is None:
        return None
    if isinstance(feature, datasets.Json):
        return feature.decode_example(value)
    if isinstance(feature, dict):
        return {name: _decoded(inner, feature[name]) for name, inner in value.items()}
    if isinstance(feature, datasets.List | datasets.LargeList):
        return [_decoded(inner, feature.feature) for inner in value]
    return value


def file_faults(table_of: Mapping[str, datasets.Dataset], form: RowForm) -> list[str]:
    """A sentence about each thing in files that verl cannot use.

    Args:
        table_of: file -> its rows.
        form: what a row must have.
    """
    faults = form.column_faults({file: table.column_names for file, table in table_of.items()})
    for file, table in table_of.items():
        columns = [column for column in form.row_columns(table.column_names) if not _fits(table, column, form)]
        if columns:
            faults += form.row_faults(rows_of_file(table, columns), file)
    return faults


def _fits(table: datasets.Dataset, column: str, form: RowForm) -> bool:
    """Whether a whole column is seen to be as it must be without a look at each row."""
    if "Json" in repr(table.features[column]):  # which Arrow holds as text
        return False
    whole: Any = table.select_columns([column]).with_format("arrow")[:]
    return form.column_fits(column, whole.column(column))


class FileRows(Sequence[dict[str, Any]]):
    """The rows of several files, one file after another.

    `rows[i]` is a row as verl reads it; iterating gives the rows as they stand in the files.

    Args:
        tables: the files.
        given_or_not: column -> what a row has that lacks it.
    """

    def __init__(self, tables: Sequence[datasets.Dataset], given_or_not: Mapping[str, Any]):
        self._tables = tables
        self._ends = list(accumulate(map(len, tables)))
        columns = dict.fromkeys(name for table in tables for name in table.column_names)
        self._given_or_not = {name: given_or_not.get(name) for name in columns}

    def __len__(self) -> int:
        return sum(map(len, self._tables))

    def __getitem__(self, number: Any) -> dict[str, Any]:
        number = range(len(self))[number]
        file = bisect_right(self._ends, number)
        row = self._tables[file][number - self._ends[file]]
        for name, value in self._given_or_not.items():
            if row.get(name) is None:
                row[name] = copy.deepcopy(value)
        _leave_out_nulls(row.get("extra_info") or {})
        return row

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for table in self._tables:
            yield from rows_of_file(table)


def _leave_out_nulls(extra_info: dict[str, Any]) -> None:
    """Leave out null fields that verl would take for given.

    All rows of a file have the same fields: a tool that a row does not use is null there.
    """
    for name in READ_OF_EXTRA_INFO + KWARGS_OF_EXTRA_INFO:
        if extra_info.get(name, ...) is None:
            del extra_info[name]
    for name in KWARGS_OF_EXTRA_INFO:
        if name in extra_info:
            extra_info[name] = _without_nulls(extra_info[name])


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}


class TaskDataset(RLHFDataset):
    """verl's dataset over any mix of parquet and JSON files.

    `max_samples` keeps each task's share, drawn with `mt_grpo.seed`; neither `data.seed` nor `data.shuffle` is read.
    """

    dataframe: FileRows

    def _read_files_and_tokenize(self) -> None:
        refuse_another_trainer(self.config)
        tables = [read_file(name) for name in self.data_files]
        self._refuse_faulty_rows(tables)
        tables = self._drawn(tables)
        kept = [self.maybe_filter_out_long_prompts(table) for table in tables]
        self._tell_of_long_prompts(tables, kept)
        default_loop = OmegaConf.select(whole_config(self.config), "actor_rollout_ref.rollout.agent.default_agent_loop")
        self.dataframe = FileRows(
            kept,
            GIVEN_OR_NOT | {"agent_name": default_loop},
        )

    def _refuse_faulty_rows(self, tables: Sequence[datasets.Dataset]) -> None:
        """Refuse files without a column that verl reads from every row, and rows whose prompt or truth it cannot use.

        Raises:
            ConfigError: lists every file with its first such row.
        """
        form = RowForm.of(whole_config(self.config), makes_prompts(type(self)))
        if faults := file_faults(dict(zip(self.original_data_files, tables, strict=True)), form):
            raise ConfigError(numbered(faults))

    def _tell_of_long_prompts(self, tables: Sequence[datasets.Dataset], kept: Sequence[datasets.Dataset]) -> None:
        """Refuse to lose a task because all its prompts are too long, and say which lose more than half of theirs."""
        section = whole_config(self.config).get("mt_grpo")
        if section is None or sum(map(len, tables)) == sum(map(len, kept)):
            return
        before, after = (Counter(self._task_names(files, load_config(section).task_key)) for files in (tables, kept))
        option = f"data.max_prompt_length={self.config.max_prompt_length}"
        if gone := [f"{task} ({before[task]})" for task in before if not after[task]]:
            raise ConfigError(
                f"every prompt of {', '.join(gone)} is longer than {option} and filtered out. Allow longer prompts, or "
                "leave the data of these tasks out."
            )
        for task in before:
            if after[task] < before[task] / 2:
                logger.warning(
                    "Task %s loses %d of its %d prompts: they are longer than %s.",
                    task,
                    before[task] - after[task],
                    before[task],
                    option,
                )

    def _task_names(self, tables: Sequence[datasets.Dataset], task_key: Sequence[str]) -> list[str]:
        """The task of every row of these files."""
        columns = sorted({path.split(".")[0] for path in task_key})
        return [
            name
            for file, table in zip(self.original_data_files, tables, strict=True)
            for name in task_names(rows_of_file(table, columns), task_key, file)
        ]

    def _drawn(self, tables: list[datasets.Dataset]) -> list[datasets.Dataset]:
        """The files with the rows that `max_samples` keeps; every row has its task."""
        section = whole_config(self.config).get("mt_grpo")
        if section is None and self.max_samples <= 0:
            return tables
        mt_grpo = load_config(section)
        names = self._task_names(tables, mt_grpo.task_key)
        kept = drawn_rows(names, self.max_samples, mt_grpo.seed)
        if len(kept) == len(names):
            return tables
        starts = [0, *accumulate(map(len, tables))]
        return [
            table.select([row - start for row in kept if start <= row < start + len(table)])
            for start, table in zip(starts, tables, strict=False)
        ]
