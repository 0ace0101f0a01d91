"""A rollout engine without a model: slots, random durations, and tasks that lose part of their groups to the filter.

The real samplers run on it. They all meet the same groups: the i-th group of a task in a step has the same outcome and
duration whichever sampler asks for it, and all samplers that draw quotas draw the same ones, so samplers differ only in
what they ask for and when.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
from hydra import compose, initialize_config_module

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.groups import GroupResult, Outcome
from mt_grpo_recipe.algorithm.samplers import Sampler, Step, make_sampler
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.settings import BudgetSettings, RoundsSettings, SamplerSettings, StreamingSettings
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.simulator.oracle import Oracle
from mt_grpo_recipe.simulator.world import Groups, World

SAMPLERS = ("rounds", "streaming", "dapo", "oracle", "budget", "lean", "dapo-streaming")
KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, spread=True)
LOST = GroupResult(Outcome.FILTERED, 0.0, spread=False)


class Ending(NamedTuple):
    """How a group will end."""

    result: GroupResult
    duration: float
    stopped: bool = False
    """Its end goes unseen once the batch is settled."""


def run_step(sampler: Sampler, groups: list[Groups], slots: int, drain: bool) -> tuple[Selection, float]:
    """Run one step on the engine.

    Args:
        sampler: fresh.
        groups: by task.
        slots: groups generated at a time.
        drain: wait for surplus groups once the batch is settled.

    Returns:
        What was selected, and the time the step took.
    """
    next_of_task = [0] * len(groups)

    def launch(task: int) -> Ending:
        kept, duration = groups[task][next_of_task[task]]
        next_of_task[task] += 1
        return Ending(KEPT if kept else LOST, duration)

    return run_launches(sampler, launch, slots, drain)


def run_launches(
    sampler: Sampler, launch: Callable[[int], Ending], slots: float, drain: bool
) -> tuple[Selection, float]:
    """Run one step on the engine, wherever its groups come from.

    The sampler is told of all groups that end at the same time before it is asked again.

    Args:
        sampler: fresh.
        launch: task -> how its next group will end; called once per group, in order of launch.
        slots: groups generated at a time.
        drain: wait for surplus groups once the batch is settled.

    Returns:
        What was selected, and the time the step took.
    """
    now: float = 0
    launched = 0
    waiting: deque[tuple[int, Ending]] = deque()
    running: list[tuple[float, int, Ending]] = []
    while True:
        tasks = [] if sampler.done else sampler.ask()
        waiting.extend((launch_id, launch(task)) for launch_id, task in enumerate(tasks, start=launched))
        launched += len(tasks)
        while waiting and len(running) < slots:
            launch_id, ending = waiting.popleft()
            heapq.heappush(running, (now + ending.duration, launch_id, ending))
        settled = sampler.done
        if settled and not (drain and any(not ending.stopped for _, _, ending in running)):
            return sampler.select(), now
        now = running[0][0]
        while running and running[0][0] == now:
            _, launch_id, ending = heapq.heappop(running)
            if not (settled and ending.stopped):
                sampler.tell(launch_id, ending.result)


def method_settings(method: str) -> SamplerSettings:
    """Sampler settings that a shipped method trains with."""
    with initialize_config_module("mt_grpo_recipe.config", version_base=None):
        return load_config(compose(overrides=[f"+mt_grpo={method}"]).mt_grpo).sampler


def sampler_settings(name: str, given: StreamingSettings) -> SamplerSettings:
    """Settings of the sampler with this name; `lean` has those of the method `mt_grpo_lean`, whatever is given.

    Args:
        name: one of `SAMPLERS`.
        given: settings for the others, as far as they have them.

    Raises:
        ValueError: no such sampler.
    """
    if name not in SAMPLERS:
        raise ValueError(f"no sampler {name!r}; there are {', '.join(SAMPLERS)}")
    if name == "lean":
        return method_settings("mt_grpo_lean")
    if name == "streaming":
        return given
    if name == "dapo-streaming":
        return replace(given, ratio=False)
    kind = BudgetSettings if name == "budget" else RoundsSettings
    shared = {field.name: getattr(given, field.name) for field in fields(kind)}
    return kind(**{**shared, "ratio": name != "dapo"})


def run_steps(name: str, world: World) -> Iterator[tuple[Selection, float]]:
    """Yield what one sampler selects in each step of a world, and the time that the step takes.

    Raises:
        ValueError: no such sampler.
    """
    config = sampler_settings(name, world.sampler)
    tracker = AcceptanceTracker(len(world.weights_K), config.acceptance_decay)
    owed_K = None
    for number, groups in enumerate(world.groups()):
        rng = np.random.default_rng([world.seed, 2, number])
        sampler: Sampler
        if name == "oracle":
            sampler = Oracle(world.weights_K, world.sampler, world.batch_size, rng, groups)
        else:
            step = Step(world.weights_K, tracker, config, world.batch_size, rng, owed_K=owed_K, number=number)
            sampler = make_sampler(step)
        selection, time = run_step(sampler, groups, world.slots, drain=not config.aborts_surplus)
        owed_K = selection.owed_K
        yield selection, time


def simulate(name: str, world: World) -> dict[str, Any]:
    """Run one sampler for all steps of a world.

    Returns:
        Means over the steps: `prompts_per_step` launched, `time_per_step` in median group durations, `rounds_per_step`
        (for streaming, the times that groups were launched), `max_share_error` (largest |batch share - quota share| of
        a task), `shortfall` (groups missing from the quotas), and `rollouts_per_step` of the groups launched. Over the
        run: `rollouts_per_trained_group`, `trained_over_informative` (groups trained on, of the informative ones that
        ended; both None where there are none) and `cumulated_share_error` (largest |share of all groups trained on -
        weight| of a task). Quotas of a fixed batch sum to it; schedule `budget` has no batch until the groups have
        ended, and its quotas are the shares due, debts included, of the groups that it trains on.

    Raises:
        ValueError: no such sampler.
    """
    rows, trained_K = [], np.zeros(len(world.weights_K), dtype=np.int64)
    for selection, time in run_steps(name, world):
        launched, informative = selection.launched_K.sum(), (selection.finished_K - selection.filtered_K).sum()
        error, shortfall = _share_error(selection), selection.shortfall_K.sum()
        rows.append((launched, time, selection.rounds, error, shortfall, informative))
        trained_K += selection.chosen_K
    names = ("prompts_per_step", "time_per_step", "rounds_per_step", "max_share_error", "shortfall", "informative")
    means = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
    informative, trained = means.pop("informative"), int(trained_K.sum()) / world.steps
    rollouts = means["prompts_per_step"] * world.group_size
    return {
        "sampler": name,
        **means,
        "rollouts_per_step": rollouts,
        "rollouts_per_trained_group": rollouts / trained if trained else None,
        "trained_over_informative": trained / informative if informative else None,
        "cumulated_share_error": float(np.abs(trained_K / max(int(trained_K.sum()), 1) - world.weights_K).max()),
    }


def _share_error(selection: Selection) -> float:
    """Largest |batch share - quota share| of a task."""
    batch_share_K, quota_share_K = (
        counts_K / max(int(counts_K.sum()), 1) for counts_K in (selection.chosen_K, selection.quota_K)
    )
    return float(np.abs(batch_share_K - quota_share_K).max())
