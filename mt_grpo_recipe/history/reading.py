"""The history of a run, read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def read_history(run: Path) -> RecordedRun:
    """Read a run's `decisions.jsonl` and `outcomes.jsonl`, in its directory or in the folder `checkpoints` below.

    A last step that a kill left in only one of the two is left out.

    Raises:
        HistoryError: the files are missing, have another format, do not begin at the first step, or have changed
            settings.
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
    steps = [_step(decisions[number], outcomes[number]) for number in decisions if number in outcomes]
    return RecordedRun(**settings, steps=steps)


def _settings(folder: Path, headers: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings that the run was recorded with."""
    for header in headers:
        if header["format"] != FORMAT:
            raise HistoryError(
                f"{folder / OUTCOMES} is of format {header['format']}, this version of mt-grpo-recipe reads format "
                f"{FORMAT}: use the version that wrote it"
            )
    given = [{name: value for name, value in row.items() if name not in ("step", "format")} for row in headers]
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
    return given[-1]


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


def _step(decision: dict[str, Any], outcome: dict[str, Any]) -> RecordedStep:
    try:
        columns = [outcome[name] for name in RecordedGroup._fields]
        groups = [RecordedGroup(*values) for values in zip(*columns, strict=True)]
        return RecordedStep(decision["weights"], decision["quota"], decision["chosen"], groups)
    except (KeyError, ValueError) as error:
        raise HistoryError(f"step {decision['step']} of the history is not whole: {error}") from error
