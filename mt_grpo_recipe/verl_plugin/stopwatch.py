"""Seconds spent in parts of a step."""

from __future__ import annotations

import time


class Stopwatch:
    """Adds up the seconds spent inside its `with` blocks."""

    def __init__(self) -> None:
        self.total_s = self.last_s = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.last_s = time.perf_counter() - self._start
        self.total_s += self.last_s
