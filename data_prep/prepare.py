"""Seed in, parquet out: draws distinct puzzles and writes train.parquet, test.parquet and manifest.json."""

import json
import shutil
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_prep import tasks
from data_prep.files import written_whole
from data_prep.manifest import FILES, NAME, PENDING, digest, refuse_to_replace
from data_prep.parts import Cost, Parts
from data_prep.puzzle import Puzzle
from data_prep.table import Prompts, Rows, to_table
from data_prep.tasks import stream, task_name
from data_prep.versions import versions

__all__ = ["Contents", "Prepared", "draw", "prepare", "stream"]

_MAX_REPEATS = 2000  # draws in a row without a new puzzle after which a task counts as exhausted


@dataclass(frozen=True)
class Contents:
    """What the files of a data set hold: this and the versions of program and packages alone decide their bytes.

    Args:
        train: training puzzles by task.
        test: test puzzles per task.
        seed: any integer.
        prompts: see `data_prep.table.to_table`.
        settings: of the rg tasks; a data set keeps its defaults for what they leave out.
    """

    train: Mapping[str, int]
    test: int = 100
    seed: int = 0
    prompts: Prompts = "base"
    settings: tasks.Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """Paths of the files by split ("train", "test"), and what the puzzles in them cost to make."""

    paths: dict[str, Path]
    cost: Cost


def draw(
    wanted: Mapping[str, int],
    test: int = 100,
    seed: int = 0,
    candidates: Callable[[str], Iterator[Puzzle]] | None = None,
) -> tuple[Rows, Rows]:
    """Draw `wanted[name]` training puzzles and `test` test puzzles per task, no question twice in a family.

    The test puzzles are drawn first, so that they do not depend on the number of training puzzles.

    Args:
        wanted: training puzzles wanted, by task.
        test: test puzzles wanted, per task.
        seed: any integer; the same one gives the same puzzles.
        candidates: an endless supply of a task's puzzles, repeats included; by default made on the spot.

    Returns:
        The training puzzles and the test puzzles, by task.

    Raises:
        ValueError: an unknown task, a number that makes no sense, or more puzzles than a task has.
    """
    counts = _checked(wanted, test)
    streams = {name: candidates(name) if candidates else stream(name, seed) for name in counts}
    seen: dict[str, set[Hashable]] = {tasks.kind(name): set() for name in counts}
    test_rows = {name: _fresh(name, streams[name], test, seen[tasks.kind(name)]) for name in counts}
    train_rows = {name: _fresh(name, streams[name], count, seen[tasks.kind(name)]) for name, count in counts.items()}
    return train_rows, test_rows


def prepare(
    contents: Contents,
    out_dir: str | Path,
    workers: int = 1,
    on_made: Callable[[str, int], None] = lambda task, count: None,
) -> Prepared:
    """Write `out_dir`/train.parquet, test.parquet and manifest.json.

    A file appears whole or not at all. The same `contents` give the same bytes, whatever `workers` is. The next call
    uses what an interrupted one has made. Files of the same contents are replaced, others are not.

    Args:
        contents: what to make.
        out_dir: created if needed.
        workers: processes that make puzzles.
        on_made: called with a task's name and the number of its candidates made since the last call for it.

    Raises:
        ValueError: as `draw`; or no puzzle is asked for, no worker, settings that do not fit the tasks, or files in
            `out_dir` that were not made from the same `contents`.
    """
    test, seed, settings = contents.test, contents.seed, contents.settings
    counts = _checked(contents.train, test)
    if workers < 1:
        raise ValueError(f"the number of workers must be at least 1, not {workers}")
    needed = {name: count + test for name, count in counts.items()}
    if not any(needed.values()):
        raise ValueError("--train 0 and --test 0 leave no puzzle to make: give one of them a number above 0")
    tasks.require_settings(settings, list(counts))
    origin = _origin(contents, counts)
    directory = Path(out_dir)
    refuse_to_replace(directory, {**origin, "prompts": contents.prompts})
    directory.mkdir(parents=True, exist_ok=True)
    parts = Parts(directory / ".parts", seed, settings)
    cost = parts.make(needed, workers, on_made)
    train_rows, test_rows = draw(counts, test, seed, lambda name: parts.candidates(name, needed[name]))
    paths = write(directory, train_rows, test_rows, origin, contents.prompts)
    shutil.rmtree(directory / ".parts")
    return Prepared(paths, cost)


def write(
    directory: Path, train_rows: Rows, test_rows: Rows, origin: Mapping[str, Any], prompts: Prompts = "base"
) -> dict[str, Path]:
    """Write train.parquet, test.parquet and manifest.json, each whole or not at all; return paths by split.

    They replace what is there: see `data_prep.manifest.refuse_to_replace`. They get their names last, in this order.

    Args:
        directory: exists.
        train_rows, test_rows: puzzles by task.
        origin: where they come from, for the manifest.
        prompts: see `data_prep.table.to_table`.
    """
    paths = {"train": directory / FILES[0], "test": directory / FILES[1]}
    files: dict[str, dict[str, Any]] = {}
    with ExitStack() as renames:  # it leaves the last first
        scratches = {split: renames.enter_context(written_whole(paths[split])) for split in ("test", "train")}
        for split, rows in (("train", train_rows), ("test", test_rows)):
            table, scratch = to_table(rows, split, prompts), scratches[split]
            pq.write_table(table, scratch)
            files[paths[split].name] = {"rows": table.num_rows, "sha256": digest(scratch)}
        manifest = {"files": files, **origin, "prompts": prompts, "versions": versions()}
        with written_whole(directory / PENDING) as scratch:
            scratch.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    (directory / PENDING).replace(directory / NAME)
    return paths


def _origin(contents: Contents, counts: Mapping[str, int]) -> dict[str, Any]:
    """Where the puzzles come from, for the manifest; `counts` are those of training, by canonical names."""
    generators = {
        name: {
            "train": count,
            "test": contents.test,
            "generator": tasks.config(name, **contents.settings.get(name, {})),
        }
        for name, count in counts.items()
    }
    return {"tasks": generators, "seed": contents.seed}


def _fresh(name: str, source: Iterator[Puzzle], count: int, seen: set[Hashable]) -> list[Puzzle]:
    """Take from `source` the next `count` puzzles whose question is not in `seen`, and add their questions to it."""
    puzzles: list[Puzzle] = []
    repeats = 0
    while len(puzzles) < count:
        puzzle = next(source)
        if puzzle.key not in seen:
            seen.add(puzzle.key)
            puzzles.append(puzzle)
            repeats = 0
            continue
        repeats += 1
        if repeats == _MAX_REPEATS:
            raise ValueError(f"{name} ran out of new puzzles after {len(seen)}: ask for fewer, or for a larger size")
    return puzzles


def _checked(wanted: Mapping[str, int], test: int) -> dict[str, int]:
    """`wanted` with its tasks by their canonical names."""
    counts = {task_name(name): count for name, count in wanted.items()}
    if not counts:
        raise ValueError("no task given: name at least one, for example countdown:mini")
    if test < 0 or min(counts.values()) < 0:
        raise ValueError(f"the number of puzzles cannot be negative: train {dict(wanted)}, test {test}")
    return counts
