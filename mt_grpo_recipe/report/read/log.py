"""The logs of runs: the attempts at each joined into one typed `Run`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.metrics import TASK_ACCURACY, TASK_METRICS
from mt_grpo_recipe.report.read.attempts import Records, read_attempt
from mt_grpo_recipe.report.read.finding import FoundRun, RunLogError, find_run, find_runs
from mt_grpo_recipe.report.read.identity import identify
from mt_grpo_recipe.report.read.joining import is_training, is_validation, join, unfinished


@dataclass(frozen=True)
class Series:
    """One metric over the steps that have it: `steps` and `values`, both of shape (n,), steps rising."""

    steps: IntArray
    values: FloatArray

    @property
    def first(self) -> float:
        """The first value; NaN where there is none."""
        return float(self.values[0]) if len(self.values) else math.nan

    @property
    def last(self) -> float:
        """The last value; NaN where there is none."""
        return float(self.values[-1]) if len(self.values) else math.nan

    def at(self, steps: IntArray) -> Series:
        """The part of the series at the given steps, as far as it has them."""
        keep = np.isin(self.steps, steps)
        return Series(self.steps[keep], self.values[keep])

    def value_at(self, step: int) -> float:
        """The value at a step; NaN where the series lacks it."""
        return self.at(np.array([step], dtype=np.int64)).last

    @classmethod
    def of(cls, values: Mapping[int, float]) -> Series:
        """Make a series of step -> value, in any order."""
        steps = sorted(values)
        return cls(np.array(steps, dtype=np.int64), np.array([values[step] for step in steps], dtype=np.float64))


@dataclass(frozen=True)
class Run:
    """One training run, all its attempts joined.

    Attributes:
        path: the directory or file that was given.
        method: name of the method, such as "mt_grpo".
        seed: the run's seed; None where nothing says it.
        label: name to show in place of the method's; None to show the method.
        files: the log files, in the order joined.
        records: metrics by step, steps rising.
        problems: sentences on what the files lack; empty for a log that is whole.
    """

    path: Path
    method: str
    seed: int | None
    label: str | None
    files: tuple[Path, ...]
    records: Records
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a table calls the run: the group and the seed."""
        return self.group if self.seed is None else f"{self.group}, seed {self.seed}"

    @property
    def group(self) -> str:
        """Runs of one group differ in the seed alone."""
        return self.label or self.method

    @cached_property
    def trained_tasks(self) -> tuple[str, ...]:
        """Names of the tasks that were trained, in the order in which the log first names them."""
        return self._tasks_under([metric.name for metric in TASK_METRICS.values()])

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Names of all tasks: the trained ones, then those that were only validated."""
        return tuple(dict.fromkeys(self.trained_tasks + self._tasks_under([TASK_ACCURACY.name])))

    def _tasks_under(self, prefixes: list[str]) -> tuple[str, ...]:
        metrics = dict.fromkeys(metric for data in self.records.values() for metric in data)
        split = (metric.rpartition("/") for metric in metrics)
        return tuple(dict.fromkeys(task for prefix, _, task in split if prefix in prefixes))

    @cached_property
    def train_steps(self) -> IntArray:
        """Steps that were trained, shape (n,)."""
        return np.array([step for step, data in self.records.items() if is_training(data)], dtype=np.int64)

    @cached_property
    def validated_steps(self) -> IntArray:
        """Steps with a validation, shape (n,); a task may be missing from one."""
        return np.array([step for step, data in self.records.items() if is_validation(data)], dtype=np.int64)

    def series(self, metric: str) -> Series:
        """One metric over the steps that have it; empty where none has."""
        return Series.of({step: data[metric] for step, data in self.records.items() if metric in data})

    def late_mean(self, metric: str, count: int) -> float:
        """Mean of a metric over the last `count` training steps, those without it left out; NaN where none has it."""
        recent = self.series(metric).at(self.train_steps[-count:]).values
        return float(recent.mean()) if len(recent) else math.nan


def read_run(run: Path | str | FoundRun) -> Run:
    """Read a run: a directory with `*.jsonl` or `*.jsonl.gz` files, one per attempt, or a single file.

    Attempts are joined in the natural order of their file names (`attempt-2` before `attempt-10`). An attempt that
    starts at step s replaces what earlier ones wrote from s on: those steps belong to a model that was thrown away.

    Raises:
        RunLogError: nothing is there, or nothing readable, or the logs of several runs.
    """
    path, files = run if isinstance(run, FoundRun) else find_run(Path(run), below=False)
    if not files:
        raise RunLogError(
            f"{path} holds no *.jsonl log: was the run started with trainer.logger=[console,file] "
            "and VERL_FILE_LOGGER_PATH pointing there?"
        )
    attempts = [read_attempt(file) for file in files]
    problems = [problem for attempt in attempts for problem in attempt.problems]
    if not any(attempt.records for attempt in attempts):
        raise RunLogError(f"{path} holds no step that can be read ({'; '.join(problems) or 'the logs are empty'})")
    records, lost = join(attempts)
    method, seed, label, identity_problems = identify(path)
    return Run(
        path=path,
        method=method,
        seed=seed,
        label=label,
        files=tuple(attempt.path for attempt in attempts if attempt.records),
        records=records,
        problems=tuple(identity_problems + problems + lost + unfinished(records)),
    )


def read_runs(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Read all runs at some paths, each once.

    Returns:
        The runs that can be read, and sentences on the others and on what the logs lack.

    Raises:
        RunLogError: there is nothing at a path, or no run can be read.
    """
    runs: list[Run] = []
    notes: list[str] = []
    found = {(run.path.resolve(), tuple(run.files)): run for path in paths for run in find_runs(path)}
    for logs in found.values():
        try:
            run = read_run(logs)
        except RunLogError as error:
            notes.append(f"left out: {error}")
            continue
        runs.append(run)
        notes += [f"{run.name} ({run.path}): {problem}" for problem in run.problems]
    if not runs:
        raise RunLogError("; ".join(notes) or "no run was given")
    return runs, notes
