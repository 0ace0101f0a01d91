"""verl's dataset for files that do not agree on the types of their columns.

Tasks keep different truths: `{"numbers": "8,73,96", "target": 50}` in one file, `{"target": "alice"}` in another, as in
the data released with the paper. verl joins its files by `datasets.concatenate_datasets`, which refuses them. Here
the columns are first brought to one type: a field that a file lacks becomes None, and where the types of a field have
nothing in common it becomes text, which every reward function of `reward_fns` reads.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import Features, List, Value
from verl.utils.dataset.rl_dataset import RLHFDataset

from mt_grpo_recipe.verl_plugin.checks.options import refuse_another_trainer

FILE_KINDS = {".parquet": "parquet", ".json": "json", ".jsonl": "json"}


def common_type(first: Any, second: Any) -> Any:
    """The type that holds values of both: one of the two, a struct of all their fields, or text.

    Args:
        first, second: types of one column as `datasets` describes them; None is a column that a file lacks.
    """
    if second is None or second == Value("null"):
        return first
    if first is None or first == Value("null") or first == second:
        return second
    if isinstance(first, dict) and isinstance(second, dict):
        return {name: common_type(first.get(name), second.get(name)) for name in {**first, **second}}
    if isinstance(first, List) and isinstance(second, List):
        return List(common_type(first.feature, second.feature))
    if isinstance(first, Value) and isinstance(second, Value):
        return _common_value(first, second)
    raise ValueError(f"one file has {first} where another has {second}, which no column can hold together")


def _common_value(first: Value, second: Value) -> Value:
    """int64 for whole numbers of any width that it holds, float64 for other numbers, text for the rest."""
    kinds = [kind.dtype for kind in (first, second)]
    if not all(kind.startswith(("int", "uint", "float")) for kind in kinds):
        return Value("string")
    if not any(kind.startswith("float") for kind in kinds):
        return Value("int64" if "uint64" not in kinds else "float64")
    return Value("float64")


def joined(parts: list[datasets.Dataset]) -> datasets.Dataset:
    """All rows of the files, in order, with their columns brought to common types.

    Raises:
        ValueError: a column is a list or a struct in one file and something else in another.
    """
    features = Features(reduce(common_type, [dict(part.features) for part in parts]))
    for i, part in enumerate(parts):
        missing = [name for name in features if name not in part.features]
        for name in missing:
            part = part.add_column(name, [None] * len(part))  # pyright: ignore[reportArgumentType]
        parts[i] = part.select_columns(list(features)).cast(features)
    return datasets.concatenate_datasets(parts)


class TaskDataset(RLHFDataset):
    """verl's dataset over any mixture of parquet and JSON files."""

    def _read_files_and_tokenize(self) -> None:
        refuse_another_trainer(self.config)
        parts = []
        for name in self.data_files:
            kind = FILE_KINDS.get(Path(name).suffix)
            if kind is None:
                raise ValueError(f"{name} cannot be read: data files end in {', '.join(FILE_KINDS)}")
            parts.append(datasets.load_dataset(kind, data_files=name, split="train"))
        rows = joined(parts)
        if 0 < self.max_samples < len(rows):
            # As in verl: the first rows, or a random draw with data.shuffle.
            rng = np.random.default_rng(self.seed)
            chosen = rng.choice(len(rows), self.max_samples, replace=False) if self.shuffle else range(self.max_samples)
            rows = rows.select(chosen)
        self.dataframe = self.maybe_filter_out_long_prompts(rows)
