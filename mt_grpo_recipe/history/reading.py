"""The history of a run, read back."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_grpo_recipe.algorithm.settings import MTGRPOConfig
from mt_grpo_recipe.history.files import DECISIONS, OUTCOMES, StepFile
from mt_grpo_recipe.history.record import FORMAT, RecordedGroup


class HistoryError(ValueError):
    """A run whose history cannot be read; the message says why, and what to do."""


@dataclass(frozen=True)
class RecordedStep:
    """One step: what was decided, and all its groups in order of launch."""

    weights: list[float]
    """z at the start of the step, by task."""
    quota: list[int]
    chosen: list[int]
    """Launch ids."""
    groups: list[RecordedGroup]


@dataclass(frozen=True)
class RecordedRun:
    """A run: the settings that its sampler ran with, and its steps from the first."""

    tasks: list[str]
    batch_size: int
    seed: int
    loss_weighting: str
    rewards: dict[str, Any]
    """The section `mt_grpo.rewards`."""
    sampler: dict[str, Any]
    """The section `mt_grpo.sampler`: its schedule, and every field that the schedule reads."""
    steps: list[RecordedStep]
    max_loss_weight: float = MTGRPOConfig.max_loss_weight
    """Not recorded by earlier versions of this format; the default is what nearly all runs had."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


SHAPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "tasks": ("a list of names", lambda v: isinstance(v, list) and bool(v) and all(isinstance(n, str) for n in v)),
    "batch_size": ("a whole number, 1 or more", lambda v: _is_whole(v) and v >= 1),
    "seed": ("a whole number, 0 or more", lambda v: _is_whole(v) and v >= 0),
    "loss_weighting": ("text", lambda v: isinstance(v, str)),
    "max_loss_weight": ("a number, 1 or more", lambda v: isinstance(v, (int, float)) and v >= 1),
    "rewards": ("an object", lambda v: isinstance(v, dict)),
    "sampler": ("an object with a `schedule`", lambda v: isinstance(v, dict) and isinstance(v.get("schedule"), str)),
}
"""Setting that a run is recorded with -> what it must be, in words and as a test."""


def read_history(run: Path) -> RecordedRun:
    """Read a run's `decisions.jsonl` and `outcomes.jsonl`, in its directory or in the folder `checkpoints` below.

    A last step that a kill left in only one of the two is left out.

    Raises:
        HistoryError: the files are missing, have another format, do not begin at the first step, have changed
            settings, or lack a part.
        ValueError: a line is no JSON object with a step.
    """
    folder = next((f for f in (run, run / "checkpoints") if (f / DECISIONS).exists()), None)
    if folder is None:
        raise HistoryError(
            f"there is no {DECISIONS} in {run} or {run}/checkpoints: give the run's directory, or the one that "
            "trainer.default_local_dir named"
        )
    if not (folder / OUTCOMES).exists():
        raise HistoryError(
            f"{folder} holds no {OUTCOMES}, so what came of the groups is not known: an earlier version of "
            "mt-grpo-recipe wrote none, and trainer mode mt_grpo_async writes none. Train with trainer mode mt_grpo "
            "and this version"
        )
    rows = StepFile(folder / OUTCOMES).rows()
    settings = _settings(folder, [row for row in rows if "format" in row])
    outcomes = {row["step"]: row for row in rows if "format" not in row}
    decisions = {row["step"]: row for row in StepFile(folder / DECISIONS).rows()}
    _check_steps(folder, list(decisions), list(outcomes))
    count = len(settings["tasks"])
    steps = [_step(decisions[number], outcomes[number], count) for number in decisions if number in outcomes]
    return RecordedRun(**settings, steps=steps)


def _settings(folder: Path, headers: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings that the run was recorded with."""
    for header in headers:
        if header["format"] != FORMAT:
            raise HistoryError(
                f"{folder / OUTCOMES} is of format {header['format']}, this version of mt-grpo-recipe reads format "
                f"{FORMAT}: use the version that wrote it"
            )
    assumed = {"max_loss_weight": MTGRPOConfig.max_loss_weight}
    given = [
        assumed | {name: value for name, value in row.items() if name not in ("step", "format")} for row in headers
    ]
    if not headers:
        raise HistoryError(
            f"{folder / OUTCOMES} does not begin with the settings of the run, which its first line has: a copy that "
            "was cut, or a disk that was full"
        )
    fresh = max((place for place, row in enumerate(headers) if row["step"] == 0), default=0)
    later = zip(headers[fresh:], given[fresh:], strict=True)
    changed = next((row["step"] for row, now in later if now != given[fresh]), 0)
    if changed:
        raise HistoryError(
            f"{folder / OUTCOMES}: the settings of the sampler were changed when the run was resumed after step "
            f"{changed}, but a replay runs with one setting: replay a run whose settings did not change"
        )
    if fault := _fault_of_settings(given[-1]):
        raise HistoryError(f"{folder / OUTCOMES}: the settings of the run are not whole: {fault}: restore the file")
    return given[-1]


def _fault_of_settings(given: dict[str, Any]) -> str | None:
    """What is wrong with the settings of a run; None if nothing is."""
    for name, (words, fits) in SHAPES.items():
        if name not in given:
            return f"{name}, which must be {words}, is missing"
        if not fits(given[name]):
            return f"{name}, which must be {words}, is {reprlib.repr(given[name])}"
    if unknown := sorted(given.keys() - SHAPES):
        return f"it has {', '.join(unknown)}, which this version does not know"
    return None


def _check_steps(folder: Path, decided: list[int], recorded: list[int]) -> None:
    """Refuse a history with missing steps, except the last one of a killed run."""
    common = [step for step in decided if step in set(recorded)]
    if not common:
        raise HistoryError(f"{folder} holds no step yet with both decisions and outcomes")
    if common != list(range(1, len(common) + 1)) or max(len(decided), len(recorded)) > len(common) + 1:
        raise HistoryError(
            f"{folder}: decisions are recorded for steps {decided[0]} to {decided[-1]}, outcomes for steps "
            f"{recorded[0]} to {recorded[-1]}. A replay needs both for every step from 1 on, since shares owed "
            "and filtered shares build up from there: replay a run that this version trained from its "
            "start in trainer mode mt_grpo"
        )


def _step(decision: dict[str, Any], outcome: dict[str, Any], num_tasks: int) -> RecordedStep:
    given = {**outcome, **decision}
    if fault := _fault_of_step(given, num_tasks):
        raise HistoryError(f"step {decision['step']} of the history is not whole: {fault}")
    columns = [given[name] for name in RecordedGroup._fields]
    groups = [RecordedGroup(*values) for values in zip(*columns, strict=True)]
    return RecordedStep(given["weights"], given["quota"], given["chosen"], groups)


def _fault_of_step(given: dict[str, Any], num_tasks: int) -> str | None:
    """What is wrong with the numbers of a step; None if nothing is."""
    for name in (*RecordedGroup._fields, "weights", "quota", "chosen"):
        if name not in given:
            return f"{name!r} is missing"
        values = given[name]
        numbers = int | float | None if name == "ended" else int | float
        if not isinstance(values, list) or not all(isinstance(value, numbers) for value in values):
            return f"{name!r}, which must be a list of numbers, is {reprlib.repr(values)}"
    for name in ("weights", "quota"):
        if len(given[name]) != num_tasks:
            return f"{name!r} has {len(given[name])} numbers for {num_tasks} tasks"
    lengths = {name: len(given[name]) for name in RecordedGroup._fields}
    if len(set(lengths.values())) > 1:
        return f"its columns are of different lengths: {lengths}"
    if not all(_is_whole(task) and 0 <= task < num_tasks for task in given["task"]):
        return f"'task', which must number one of {num_tasks} tasks from 0, is {reprlib.repr(given['task'])}"
    return None
