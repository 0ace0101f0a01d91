"""Seed in, parquet out: draws distinct puzzles and writes train.parquet and test.parquet.

A row has the columns verl reads:

    data_source   "<task>-<split>", e.g. "countdown-mini-train"
    prompt        [{"role": "user", "content": ...}]
    ability       the family
    reward_model  {"ground_truth": {...}, "style": "rule"}
    extra_info    {"task", "type" (the family), "difficulty" (0 mini .. 3 hard), "index" (row in the file), "split"}

One parquet column has one type, so `ground_truth` depends on the families in the file:

    countdown only     {"numbers": "8,73,96", "target": 50}       the target an int
    without countdown  {"target": "carol"}
    mixed              {"numbers": "8,73,96", "target": "50"}     every target a str, and
                       {"numbers": None, "target": "carol"}       no numbers outside countdown
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep import arc, countdown, zebra
from data_prep.puzzle import Puzzle

FAMILIES = {"countdown": countdown, "arc": arc, "zebra": zebra}
DIFFICULTY = {"mini": 0, "easy": 1, "medium": 2, "hard": 3}
TASKS = tuple(f"{family}-{size}" for family in FAMILIES for size in DIFFICULTY)

_MAX_REPEATS = 2000  # draws in a row that bring nothing new before a task counts as exhausted

Rows = dict[str, list[Puzzle]]


def task_name(text: str) -> str:
    """Return the task that `text` ("countdown-mini" or "countdown:mini") names.

    Raises:
        ValueError: it names none; the message lists those there are.
    """
    name = text.strip().replace(":", "-")
    if name not in TASKS:
        raise ValueError(
            f"unknown task {text!r}: a task is FAMILY:SIZE with a family of {', '.join(FAMILIES)} "
            f"and a size of {', '.join(DIFFICULTY)}, for example countdown:mini"
        )
    return name


def parse_tasks(text: str) -> list[str]:
    """Return the tasks of a comma-separated list such as "countdown:mini,arc:mini"; errors as in `task_name`."""
    names = [task_name(part) for part in text.split(",") if part.strip()]
    if len(set(names)) < len(names):
        raise ValueError(f"a task is named twice in {text!r}")
    return names


def stream(task: str, seed: int) -> Iterator[Puzzle]:
    """Yield puzzles of `task` without end, repeats included; each task has its own random stream under one `seed`."""
    family, size = task_name(task).split("-")
    digest = hashlib.sha256(f"{family}-{size}/{seed}".encode()).digest()
    return FAMILIES[family].stream(size, int.from_bytes(digest[:6], "big"))


def draw(
    tasks: Mapping[str, int], test: int = 100, seed: int = 0, on_puzzle: Callable[[str], None] | None = None
) -> tuple[Rows, Rows]:
    """Draw `tasks[name]` training puzzles and `test` test puzzles a task, no question twice in a family.

    The test puzzles are drawn first, so that another number of training puzzles leaves them as they are.

    Args:
        tasks: training puzzles wanted, by task.
        test: test puzzles wanted, a task.
        seed: any integer; the same one gives the same puzzles.
        on_puzzle: called with the task's name after each puzzle.

    Returns:
        The training puzzles and the test puzzles, by task.

    Raises:
        ValueError: an unknown task, a number that makes no sense, or more puzzles than a task has.
    """
    wanted = {task_name(name): count for name, count in tasks.items()}
    if not wanted:
        raise ValueError("no task given: name at least one, for example countdown:mini")
    if test < 0 or min(wanted.values()) < 0:
        raise ValueError(f"the number of puzzles cannot be negative: train {dict(tasks)}, test {test}")
    streams = {name: stream(name, seed) for name in wanted}
    seen: dict[str, set[Hashable]] = {family: set() for family in FAMILIES}

    def fresh(name: str, count: int) -> list[Puzzle]:
        known, puzzles, repeats = seen[name.split("-")[0]], [], 0
        while len(puzzles) < count:
            puzzle = next(streams[name])
            if puzzle.key in known:
                repeats += 1
                if repeats == _MAX_REPEATS:
                    raise ValueError(
                        f"{name} ran out of new puzzles after {len(known)}: ask for fewer, or for a larger size"
                    )
                continue
            repeats = 0
            known.add(puzzle.key)
            puzzles.append(puzzle)
            if on_puzzle is not None:
                on_puzzle(name)
        return puzzles

    test_rows = {name: fresh(name, test) for name in wanted}
    return {name: fresh(name, count) for name, count in wanted.items()}, test_rows


def to_table(rows: Rows, split: str) -> pa.Table:
    """Return the table of one `split` ("train" or "test"), task after task in the order of `rows`."""
    families = {name.split("-")[0] for name in rows}
    target = pa.int64() if families == {"countdown"} else pa.string()
    truth = [pa.field("numbers", pa.string())] if "countdown" in families else []
    schema = pa.schema(
        {
            "data_source": pa.string(),
            "prompt": pa.list_(pa.struct({"content": pa.string(), "role": pa.string()})),
            "ability": pa.string(),
            "reward_model": pa.struct(
                {"ground_truth": pa.struct([*truth, pa.field("target", target)]), "style": pa.string()}
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
        family, size = name.split("-")
        for puzzle in puzzles:
            answer = puzzle.ground_truth["target"]
            info = {"difficulty": DIFFICULTY[size], "index": len(records), "split": split, "task": name, "type": family}
            records.append(
                {
                    "data_source": f"{name}-{split}",
                    "prompt": [{"content": puzzle.prompt, "role": "user"}],
                    "ability": family,
                    "reward_model": {
                        "ground_truth": {
                            **puzzle.ground_truth,
                            "target": answer if target == pa.int64() else str(answer),
                        },
                        "style": "rule",
                    },
                    "extra_info": info,
                }
            )
    return pa.Table.from_pylist(records, schema=schema)


def prepare(
    tasks: Mapping[str, int],
    out_dir: str | Path,
    *,
    test: int = 100,
    seed: int = 0,
    on_puzzle: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Write `out_dir`/train.parquet and `out_dir`/test.parquet; arguments and errors as in `draw`.

    A file appears whole or not at all. The same arguments give the same bytes.

    Returns:
        The two paths, by split.
    """
    train_rows, test_rows = draw(tasks, test, seed, on_puzzle)
    directory = Path(out_dir)
    directory.mkdir(parents=True, exist_ok=True)
    paths = {}
    for split, rows in (("train", train_rows), ("test", test_rows)):
        paths[split] = directory / f"{split}.parquet"
        _write(to_table(rows, split), paths[split])
    return paths


def _write(table: pa.Table, path: Path) -> None:
    """Write `table` beside `path` under another name, then rename it: a reader never sees half a file."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        pq.write_table(table, scratch)
        os.chmod(scratch, 0o644)  # mkstemp makes it private
        os.replace(scratch, path)
    except BaseException:
        os.unlink(scratch)
        raise
