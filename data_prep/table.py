"""Puzzles as a table with the columns verl reads.

    data_source   "<task>-<split>", e.g. "countdown-mini-train"
    prompt        [{"role": "user", "content": ...}]
    ability       the family
    reward_model  {"ground_truth": {...}, "style": "rule"}
    extra_info    {"task", "type" (the family), "difficulty" (see data_prep.tasks), "index" (row in the file), "split"}

One parquet column has one type, so `ground_truth` has the fields of all tasks in the file, None where a task lacks the
field, and a numeric target becomes text where another task's target is text:

    countdown only     {"numbers": "8,73,96", "target": 50}
    without countdown  {"target": "carol"}
    mixed              {"numbers": "8,73,96", "target": "50"} and {"numbers": None, "target": "carol"}
"""

from collections.abc import Mapping
from typing import Literal

import pyarrow as pa

from data_prep.puzzle import Puzzle
from data_prep.tasks import DIFFICULTY, kind

Prompts = Literal["base", "chat"]
Rows = dict[str, list[Puzzle]]
"""Puzzles by task."""


def to_table(rows: Rows, split: str, prompts: Prompts = "base") -> pa.Table:
    """Return the table of one `split` ("train" or "test"), task by task in the order of `rows`.

    Args:
        rows: puzzles by task.
        split: goes into `data_source` and `extra_info`.
        prompts: "base" for text that a base model continues, "chat" for the question alone as the user's message.
    """
    named = [(task, puzzle) for task, puzzles in rows.items() for puzzle in puzzles]
    types = _truth_types([puzzle.ground_truth for _, puzzle in named])
    records = []
    for index, (task, puzzle) in enumerate(named):
        prompt = puzzle.prompt if prompts == "base" else puzzle.question
        truth = {
            field: value if types[field] == pa.int64() else str(value) for field, value in puzzle.ground_truth.items()
        }
        records.append(
            {
                "data_source": f"{task}-{split}",
                "prompt": [{"content": prompt, "role": "user"}],
                "ability": kind(task),
                "reward_model": {"ground_truth": truth, "style": "rule"},
                "extra_info": _extra_info(task, index, split),
            }
        )
    return pa.Table.from_pylist(records, schema=_schema(types))


def _truth_types(truths: list[dict[str, str | int]]) -> dict[str, pa.DataType]:
    """The type of each field of `ground_truth`: a number only if every row that has the field has a number."""
    fields = sorted({field for truth in truths for field in truth} | {"target"})
    return {
        field: pa.int64() if all(isinstance(truth.get(field, 0), int) for truth in truths) else pa.string()
        for field in fields
    }


def _extra_info(task: str, index: int, split: str) -> dict[str, str | int]:
    return {
        "difficulty": DIFFICULTY.get(task.partition("-")[2], 0),
        "index": index,
        "split": split,
        "task": task,
        "type": kind(task),
    }


def _schema(truth_types: Mapping[str, pa.DataType]) -> pa.Schema:
    text, number = pa.string(), pa.int64()
    extra_info = {"difficulty": number, "index": number, "split": text, "task": text, "type": text}
    return pa.schema(
        {
            "data_source": text,
            "prompt": pa.list_(pa.struct({"content": text, "role": text})),
            "ability": text,
            "reward_model": pa.struct({"ground_truth": pa.struct(dict(truth_types)), "style": text}),
            "extra_info": pa.struct(extra_info),
        }
    )
