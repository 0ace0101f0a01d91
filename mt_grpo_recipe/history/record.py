"""What is recorded of a step: what the sampler decided, and when each group was launched and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupLedger, GroupResult, judge_finished
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig, SamplerSettings
from mt_grpo_recipe.history.files import DECISIONS, OUTCOMES, StepFile

FORMAT = 1
"""Format of `outcomes.jsonl`."""


class Timeline:
    """When the groups of one step were launched and ended, by launch id, in ticks that its driver counts.

    A sampler is asked after groups have ended, and decides by what has ended so far; what it then launches counts as
    launched at the tick of the last end. So the ticks give the order of all that a sampler saw.
    """

    def __init__(self) -> None:
        self._now = 0
        self.launched: list[int] = []
        self.ended: dict[int, int] = {}

    def launch(self, count: int) -> None:
        """Note that groups were launched, in order of their launch ids."""
        self.launched += [self._now] * count

    def end(self, launch_ids: Iterable[int], tick: int) -> None:
        """Note groups that were seen to end together; a tick not later than the last one becomes the next."""
        self._now = max(tick, self._now + 1)
        self.ended.update(dict.fromkeys(launch_ids, self._now))


class RecordedGroup(NamedTuple):
    """A group as `outcomes.jsonl` has it, whatever the sampler's settings made of it."""

    task: int
    launched: int
    """Tick."""
    ended: int | None
    """Tick; None where it was stopped, so that nothing is known of it."""
    accuracy: float
    """Mean accuracy of the rollouts."""
    rollouts: int
    """0 where the group failed."""
    spread: bool
    """The rewards are not all equal."""
    tokens: int

    def result(self, settings: SamplerSettings) -> GroupResult:
        """What the group is under these settings."""
        if not self.rollouts:
            return FAILED_GROUP
        return judge_finished(self.accuracy, bool(self.spread), self.rollouts, settings, self.tokens)


def outcomes_of(groups: GroupLedger, timeline: Timeline) -> dict[str, list[Any]]:
    """The groups of a step by columns, which are the fields of `RecordedGroup`, each in order of launch."""
    rows = []
    for launch_id, launched in enumerate(timeline.launched):
        task, _, result = groups.group(launch_id)
        result = result or FAILED_GROUP
        known = (result.accuracy, result.rollouts, int(result.spread), result.tokens)
        rows.append((task, launched, timeline.ended.get(launch_id), *known))
    columns = zip(*rows, strict=True) if rows else ((),) * len(RecordedGroup._fields)
    return dict(zip(RecordedGroup._fields, map(list, columns), strict=True))


class History:
    """The two files of a run.

    `decisions.jsonl`: what was decided in each step (a mini-batch in mode mt_grpo_async), so that two runs, or a run
    and its resumed half, can be compared. `outcomes.jsonl`: the settings of the sampler, then what came of each group
    of a step, for `mt-grpo replay`.

    Args:
        folder: the run's checkpoint folder.
        controller: of the run.
        config: its settings.
        outcomes: whether outcomes are kept; groups that are carried over would need more than one line per step.
    """

    def __init__(self, folder: Path, controller: TaskController, config: MTGRPOConfig, outcomes: bool = True):
        self._decisions, self._outcomes = StepFile(folder / DECISIONS), StepFile(folder / OUTCOMES)
        self._keeps_outcomes = outcomes
        self._settings: dict[str, Any] = {
            "format": FORMAT,
            "tasks": controller.tasks,
            "batch_size": controller.batch_size,
            "seed": config.seed,
            "loss_weighting": config.loss_weighting,
            "max_loss_weight": config.max_loss_weight,
            "rewards": vars(config.rewards),
            "sampler": {"schedule": config.sampler.schedule, **vars(config.sampler)},
        }

    def resume(self, step: int) -> None:
        """Go on after a step, 0 for a fresh start: lines of later steps are dropped."""
        self._decisions.rewind(step)
        self._outcomes.rewind(step)
        if not self._keeps_outcomes:
            return
        last = next((row for row in reversed(self._outcomes.rows()) if "format" in row), {})
        if {**last, "step": step} != {"step": step, **self._settings}:
            self._outcomes.append(step, self._settings)

    def append(
        self, step: int, weights_K: FloatArray, selection: Selection, timeline: Timeline, rows: list[int]
    ) -> None:
        """Add a step.

        Args:
            step: its number.
            weights_K: z at its start, shape (K,).
            selection: what came of it.
            timeline: of its groups.
            rows: row numbers of the prompts launched, in order.
        """
        if self._keeps_outcomes:
            self._outcomes.append(step, outcomes_of(selection.groups, timeline))
        decision = {
            "weights": weights_K.tolist(),
            "quota": selection.quota_K.tolist(),
            "rows": list(rows),
            "chosen": selection.launch_ids,
        }
        self._decisions.append(step, decision)
