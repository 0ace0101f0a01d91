"""A recorded run once more, under its own sampler settings or others.

The weights of each step are the recorded ones: the policy does not react to another batch. A task's groups come in the
order in which the step launched them; when these are used up, more are drawn from the task's groups in nearby steps.
Each group takes as long as it did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig
from mt_grpo_recipe.algorithm.step_metrics import step_metrics
from mt_grpo_recipe.history.reading import HistoryError, RecordedRun
from mt_grpo_recipe.history.record import RecordedGroup
from mt_grpo_recipe.metrics import task_slugs
from mt_grpo_recipe.simulator.engine import Ending, run_launches

POOL = 32
"""More groups are drawn from those of the nearest steps that together have at least this many of the task."""


class Pool:
    """All groups of a run whose end is known, by task, to draw from.

    Args:
        run: the run.
        seed: of the draws: the n-th group drawn for a task in a step is the same under every setting.
    """

    def __init__(self, run: RecordedRun, seed: int):
        self._seed = seed
        self._tasks = run.tasks
        self._groups: list[list[RecordedGroup]] = [[] for _ in run.tasks]
        steps: list[list[int]] = [[] for _ in run.tasks]
        for number, step in enumerate(run.steps):
            for group in step.groups:
                if group.ended is not None:
                    self._groups[group.task].append(group)
                    steps[group.task].append(number)
        self._steps = [np.array(of_task, dtype=np.int64) for of_task in steps]

    def draws(self, task: int, step: int) -> Iterator[RecordedGroup]:
        """Groups of a task, drawn endlessly, with replacement, from those of the steps around this one (from 0).

        Raises:
            HistoryError: the run has none of this task.
        """
        groups, distance = self._groups[task], np.abs(self._steps[task] - step)
        if not groups:
            raise HistoryError(
                f"the setting asks for groups of task {self._tasks[task]!r}, but none of them ended in the recorded "
                "run, so nothing is known of them: leave that setting out, or replay a run that trained the task"
            )
        farthest = np.sort(distance)[min(POOL, len(groups)) - 1]
        near = np.flatnonzero(distance <= farthest)
        rng = np.random.default_rng([self._seed, task, step])
        while True:
            yield groups[near[rng.integers(len(near))]]


class StepGroups:
    """The groups of one step: the recorded ones of each task in order of launch, then drawn ones.

    Args:
        run: the run.
        step: which of its steps, from 0.
        pool: to draw from.
        config: the settings to judge groups by.
    """

    def __init__(self, run: RecordedRun, step: int, pool: Pool, config: MTGRPOConfig):
        groups = run.steps[step].groups
        self._settings = config.sampler
        self._own = [iter([group for group in groups if group.task == task]) for task in range(len(run.tasks))]
        self._further = [pool.draws(task, step) for task in range(len(run.tasks))]
        self._last_tick = max((group.ended for group in groups if group.ended is not None), default=0)
        self.drawn = 0
        """Groups so far that the step has not recorded."""

    def launch(self, task: int) -> Ending:
        """How the task's next group ends, in ticks from its launch."""
        group = next(self._own[task], None)
        if group is not None and group.ended is None and self._settings.aborts_surplus:
            # It was in flight when the run settled the batch, and its end was not seen.
            return Ending(FAILED_GROUP, self._last_tick + 1 - group.launched, stopped=True)
        if group is None or group.ended is None:
            self.drawn += 1
            group = next(self._further[task])
        assert group.ended is not None, "only groups with a known end are drawn"
        return Ending(group.result(self._settings), group.ended - group.launched)


class RecordedController(TaskController):
    """A controller with the recorded weights."""

    recorded_K: FloatArray

    @property
    def weights_K(self) -> FloatArray:
        """z of the step that is replayed, shape (K,)."""
        return self.recorded_K


@dataclass(frozen=True)
class ReplayedStep:
    """One step: its weights, what was selected, what it logs, and the groups that were drawn."""

    weights_K: FloatArray
    selection: Selection
    metrics: dict[str, float]
    drawn: int


def replay(run: RecordedRun, config: MTGRPOConfig, seed: int = 0) -> Iterator[ReplayedStep]:
    """Run the sampler of these settings on the groups of a recorded run, step by step.

    Under the run's own settings, each step selects and logs exactly what it did.

    Args:
        run: the run.
        config: settings; `sampler`, `seed`, `loss_weighting` and `max_loss_weight` are read.
        seed: of the groups that are drawn.

    Raises:
        HistoryError: the settings ask for groups of a task that the run has none of.
    """
    controller, pool = RecordedController(run.tasks, run.batch_size, config), Pool(run, seed)
    slugs = task_slugs(run.tasks)
    stops = bool(run.sampler.get("surplus") == "abort")
    for number, step in enumerate(run.steps):
        controller.recorded_K = np.array(step.weights)
        groups = StepGroups(run, number, pool, config)
        # A run that stops its surplus still sees some of it end, and has recorded which groups.
        drain = stops or not config.sampler.aborts_surplus
        selection, _ = run_launches(controller.begin_step(), groups.launch, np.inf, drain)
        controller.observe(selection)
        logged = step_metrics(controller, selection, slugs, skipped=not selection.launch_ids)
        yield ReplayedStep(controller.recorded_K, selection, logged, groups.drawn)


def check_record(run: RecordedRun, replayed: list[ReplayedStep]) -> None:
    """Compare a replay under the run's own settings with what the run did.

    Raises:
        HistoryError: a step differs.
    """
    for number, (step, again) in enumerate(zip(run.steps, replayed, strict=True), start=1):
        if step.chosen != again.selection.launch_ids or step.quota != again.selection.quota_K.tolist():
            raise HistoryError(
                f"replayed under its own settings, the run comes out differently in step {number}, so a replay under "
                "others would say nothing: was it trained by another version of mt-grpo-recipe? Use that version"
            )
