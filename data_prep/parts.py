"""Candidates for puzzles in numbered parts on disk, made by several processes and kept until the data set is whole.

A part holds the candidates START..STOP-1 of one task, repeats included. It depends only on these numbers, the task, the
seed and the program: parts are the same whichever process makes them, and an interrupted run resumes where it stopped.

    DIR/.parts/countdown-easy-<fingerprint>/000000-000100.json

The fingerprint covers seed, generator settings, versions and the program's own text, so that a part made by another
program or setting is never used.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from time import thread_time
from types import MappingProxyType
from typing import Any

from data_prep import tasks
from data_prep.files import written_whole
from data_prep.puzzle import Puzzle
from data_prep.versions import program_digest, versions

PART_SIZE = 100  # half a minute's work for the slowest task, zebra-hard


@dataclass(frozen=True)
class Cost:
    """CPU seconds that the parts took, over all processes, and how many of them were reasoning-gym's."""

    seconds: float = 0.0
    generator_seconds: float = 0.0

    @property
    def generator_share(self) -> float:
        return self.generator_seconds / self.seconds if self.seconds else 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.seconds + other.seconds, self.generator_seconds + other.generator_seconds)


@dataclass(frozen=True)
class Part:
    """Candidates `start`..`stop`-1 of `task`, made with `settings` under `seed`, at `path`."""

    task: str
    settings: Mapping[str, Any]
    seed: int
    start: int
    stop: int
    path: Path

    def make(self) -> Cost:
        """Write the file, unless it is there; return what it cost when it was made."""
        if not self.path.exists():
            begin, generator_seconds, puzzles = thread_time(), 0.0, []
            source = tasks.items(self.task, self.seed, self.start, **self.settings)
            for _ in range(self.start, self.stop):
                asked = thread_time()
                item = next(source)
                generator_seconds += thread_time() - asked
                puzzles.append(asdict(tasks.puzzle(self.task, item, **self.settings)))
            content = {"cost": [thread_time() - begin, generator_seconds], "puzzles": puzzles}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self.path) as scratch:
                scratch.write_text(json.dumps(content), encoding="ascii")
        return Cost(*self._read()["cost"])

    def puzzles(self) -> Iterator[Puzzle]:
        """The candidates; they are made first if the file is not there."""
        self.make()
        for fields in self._read()["puzzles"]:
            key = fields.pop("key")
            yield Puzzle(**fields, key=tuple(key) if isinstance(key, list) else key)

    def _read(self) -> dict[str, Any]:
        return json.loads(self.path.read_text(encoding="ascii"))


class Parts:
    """The parts below `folder` for one `seed`; `settings` are for the rg tasks among them."""

    def __init__(self, folder: Path, seed: int, settings: tasks.Settings = MappingProxyType({})) -> None:
        self._folder = folder
        self._seed = seed
        self._settings = settings

    def make(
        self, wanted: Mapping[str, int], workers: int, on_made: Callable[[str, int], None] = lambda task, count: None
    ) -> Cost:
        """Make the first `wanted[task]` candidates of every task; `on_made(task, count)` is called part by part."""
        parts = [
            self._part(task, start, min(start + PART_SIZE, count))
            for task, count in wanted.items()
            for start in range(0, count, PART_SIZE)
        ]
        total = Cost()
        for part, cost in _made_by_one(parts) if workers == 1 else _made_by_many(parts, workers):
            total += cost
            on_made(part.task, part.stop - part.start)
        return total

    def candidates(self, task: str, count: int) -> Iterator[Puzzle]:
        """Yield the first `count` candidates, which `make` has made, and then more, endlessly."""
        start, size = 0, PART_SIZE
        while True:
            stop = min(start + size, count) if start < count else start + size
            yield from self._part(task, start, stop).puzzles()
            start = stop

    def _part(self, task: str, start: int, stop: int) -> Part:
        settings = self._settings.get(task, {})
        identity = [task, self._seed, tasks.config(task, **settings), versions(), program_digest()]
        fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
        folder = self._folder / f"{task.replace(':', '-')}-{fingerprint}"
        return Part(task, settings, self._seed, start, stop, folder / f"{start:06d}-{stop:06d}.json")


def _made_by_one(parts: list[Part]) -> Iterator[tuple[Part, Cost]]:
    for part in parts:
        yield part, part.make()


def _made_by_many(parts: list[Part], workers: int) -> Iterator[tuple[Part, Cost]]:
    # Fresh processes rather than forks of this one, which has a progress bar's threads.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_the_parent)
    try:
        pending = {pool.submit(part.make): part for part in parts}
        for future in as_completed(pending):
            yield pending[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_the_parent() -> None:
    """Without this, a worker whose parent was killed would hang, waiting for work."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
