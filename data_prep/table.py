"""Puzzles as a table with the columns verl reads.

    data_source   "<task>-<split>", e.g. "countdown-mini-train"
    prompt        [{"role": "user", "content": ...}]
    ability       the family
    reward_model  {"ground_truth": {...}, "style": "rule"}
    extra_info    {"task", "type" (the family), "difficulty" (0 mini .. 3 hard), "index" (row in the file), "split"}

One parquet column has one type, so `ground_truth` has the fields of all tasks in the file, None where a task has no
such field, and a target that is a number becomes text where another task's is text:

    countdown only     {"numbers": "8,73,96", "target": 50}
    without countdown  {"target": "carol"}
    mixed              {"numbers": "8,73,96", "target": "50"} and {"numbers": None, "target": "carol"}
"""

from typing import Literal

import pyarrow as pa

from data_prep.puzzle import Puzzle
from data_prep.tasks import DIFFICULTY, kind

Prompts = Literal["base", "chat"]
Rows = dict[str, list[Puzzle]]
"""Puzzles by task."""


def to_table(rows: Rows, split: str, prompts: Prompts = "base") -> pa.Table:
    """Return the table of one `split` ("train" or "test"), task after task in the order of `rows`.

    Args:
        rows: puzzles by task.
        split: goes into `data_source` and `extra_info`.
        prompts: "base" for text that a base model continues, "chat" for the question alone as the user's message.
    """
    truths = [puzzle.ground_truth for puzzles in rows.values() for puzzle in puzzles]
    fields = sorted({field for truth in truths for field in truth} | {"target"})
    numeric = {field for field in fields if all(isinstance(truth.get(field, 0), int) for truth in truths)}
    schema = pa.schema(
        {
            "data_source": pa.string(),
            "prompt": pa.list_(pa.struct({"content": pa.string(), "role": pa.string()})),
            "ability": pa.string(),
            "reward_model": pa.struct(
                {
                    "ground_truth": pa.struct(
                        {field: pa.int64() if field in numeric else pa.string() for field in fields}
                    ),
                    "style": pa.string(),
                }
            ),
            "extra_info": pa.struct(
                {
                    "difficulty": pa.int64(),
                    "index": pa.int64(),
                    "split": pa.string(),
                    "task": pa.string(),
                    "type": pa.string(),
                }
            ),
        }
    )
    records = []
    for name, puzzles in rows.items():
        for puzzle in puzzles:
            truth = {field: value if field in numeric else str(value) for field, value in puzzle.ground_truth.items()}
            records.append(
                {
                    "data_source": f"{name}-{split}",
                    "prompt": [{"content": puzzle.prompt if prompts == "base" else puzzle.question, "role": "user"}],
                    "ability": kind(name),
                    "reward_model": {"ground_truth": truth, "style": "rule"},
                    "extra_info": {
                        "difficulty": DIFFICULTY.get(name.partition("-")[2], 0),
                        "index": len(records),
                        "split": split,
                        "task": name,
                        "type": kind(name),
                    },
                }
            )
    return pa.Table.from_pylist(records, schema=schema)
