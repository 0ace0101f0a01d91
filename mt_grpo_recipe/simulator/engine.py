"""A rollout engine without a model: slots, random durations, and tasks that lose part of their groups to the filter.

The real samplers run on it. All of them meet the same groups: the i-th group of a task in a step has the same outcome
and duration whoever asks for it, and the quotas are the same, so samplers differ only in what they ask for and when.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.groups import GroupLedger, GroupResult, Outcome
from mt_grpo_recipe.algorithm.quotas import draw_quotas
from mt_grpo_recipe.algorithm.samplers import Sampler, Step, make_sampler
from mt_grpo_recipe.algorithm.selection import Selection, select_groups
from mt_grpo_recipe.algorithm.settings import BatchSettings, RoundsSettings, StreamingSettings

SAMPLERS = ("rounds", "streaming", "dapo", "oracle")
CHUNK = 64
KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, carries_gradient=True)
LOST = GroupResult(Outcome.FILTERED, 0.0, carries_gradient=False)


@dataclass
class World:
    """What is simulated.

    Durations are log-normal with median one: all times are in units of the median group.
    """

    weights_K: FloatArray
    zero_grad_rates_K: FloatArray
    """Share of groups without a gradient, in [0, 1], shape (K,)."""
    batch_size: int
    slots: int
    """Groups that the engine generates at a time; the others wait in order of launch."""
    steps: int
    seed: int = 0
    sigma: float = 0.6
    """Standard deviation of the logarithm of the durations."""
    drift: float = 0.0
    """Standard deviation of the change of each zero-gradient rate from step to step."""
    sampler: StreamingSettings = field(default_factory=StreamingSettings)
    """Of the streaming sampler; the samplers in rounds take what they share with it."""

    def __post_init__(self) -> None:
        """Raises ValueError: a number that cannot be used."""
        self.weights_K = np.asarray(self.weights_K, dtype=np.float64)
        self.zero_grad_rates_K = np.asarray(self.zero_grad_rates_K, dtype=np.float64)
        if len(self.weights_K) != len(self.zero_grad_rates_K):
            raise ValueError(
                f"{len(self.weights_K)} weights and {len(self.zero_grad_rates_K)} zero-gradient rates: give one of "
                "each for every task"
            )
        if not (np.isfinite(self.weights_K).all() and (self.weights_K >= 0).all() and self.weights_K.sum() > 0):
            raise ValueError(f"the weights {self.weights_K.tolist()} must be 0 or more, and not all 0")
        if not ((self.zero_grad_rates_K >= 0) & (self.zero_grad_rates_K <= 1)).all():
            raise ValueError(f"the zero-gradient rates {self.zero_grad_rates_K.tolist()} must lie in [0, 1]")
        for name in ("batch_size", "slots", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be 1 or more")
        if not (0 <= self.sigma < np.inf and 0 <= self.drift < np.inf):
            raise ValueError(f"sigma={self.sigma} and drift={self.drift} must be finite and 0 or more")
        self.weights_K = self.weights_K / self.weights_K.sum()

    def rates(self) -> Iterator[FloatArray]:
        """Zero-gradient rates of each step: with drift a random walk within [0.02, 0.98], save for rates of 0 and 1."""
        rng = np.random.default_rng([self.seed, 0])
        moving_K = (self.zero_grad_rates_K > 0) & (self.zero_grad_rates_K < 1) & (self.drift > 0)
        rates_K = self.zero_grad_rates_K
        for _ in range(self.steps):
            yield rates_K
            moved_K = rates_K + rng.normal(scale=self.drift, size=len(rates_K))
            rates_K = np.where(moving_K, np.clip(moved_K, 0.02, 0.98), rates_K)


class _Groups:
    """Outcomes and durations of one task's groups in one step, drawn as far as they are asked for."""

    def __init__(self, seed: list[int], zero_grad_rate: float, sigma: float):
        self._rng = np.random.default_rng(seed)
        self._rate = zero_grad_rate
        self._sigma = sigma
        self._kept: list[bool] = []
        self._durations: list[float] = []

    def __getitem__(self, index: int) -> tuple[bool, float]:
        while index >= len(self._kept):
            self._kept += (self._rng.random(CHUNK) >= self._rate).tolist()
            self._durations += self._rng.lognormal(sigma=self._sigma, size=CHUNK).tolist()
        return self._kept[index], self._durations[index]


class Oracle:
    """Knows what will come of each group: launches, at once, the shortest start of each task's groups that fills n_k.

    Args:
        kept: task -> its groups.
        budget: groups of a task that are looked at.
        Others: as for the samplers.
    """

    def __init__(
        self, weights_K: FloatArray, config: BatchSettings, batch_size: int, rng: np.random.Generator, groups: list
    ):
        self.quota_K = draw_quotas(weights_K, batch_size, config.quota, rng)
        self._batch_size = batch_size
        self._ledger = GroupLedger(len(weights_K))
        counts = [
            self._needed(task_groups, places, config.budget(batch_size))
            for task_groups, places in zip(groups, self.quota_K.tolist(), strict=True)
        ]
        self._launches = rng.permutation(np.repeat(np.arange(len(counts)), counts)).tolist()
        self._asked = False

    @staticmethod
    def _needed(groups: _Groups, places: int, budget: int) -> int:
        kept = needed = 0
        for index in range(budget if places else 0):
            if groups[index][0]:
                kept, needed = kept + 1, index + 1
            if kept == places:
                break
        return needed

    @property
    def in_flight(self) -> int:
        """Groups launched of which nothing was told yet."""
        return self._ledger.in_flight

    @property
    def done(self) -> bool:
        """Everything launched has ended."""
        return self._asked and not self.in_flight

    def ask(self) -> list[int]:
        """All groups at the first call."""
        launches = [] if self._asked else self._launches
        self._asked = True
        self._ledger.launch(launches)
        return launches

    def tell(self, launch_id: int, result: GroupResult) -> None:
        """Book a result, known before."""
        self._ledger.tell(launch_id, result)

    def select(self) -> Selection:
        """The groups that fill the quotas."""
        return select_groups(self._ledger, self.quota_K, self.quota_K, self._batch_size, rounds=1)


def run_step(sampler: Sampler, groups: list[_Groups], slots: int, drain: bool) -> tuple[Selection, float]:
    """Run one step on the engine.

    Args:
        sampler: fresh.
        groups: by task.
        slots: groups generated at a time.
        drain: wait for surplus groups once the batch is settled.

    Returns:
        What was selected, and the time the step took.
    """
    now = 0.0
    launched = 0
    next_of_task = [0] * len(groups)
    waiting: deque[tuple[int, bool, float]] = deque()
    running: list[tuple[float, int, bool]] = []
    while True:
        tasks = [] if sampler.done else sampler.ask()
        for launch_id, task in enumerate(tasks, start=launched):
            waiting.append((launch_id, *groups[task][next_of_task[task]]))
            next_of_task[task] += 1
        launched += len(tasks)
        while waiting and len(running) < slots:
            launch_id, kept, duration = waiting.popleft()
            heapq.heappush(running, (now + duration, launch_id, kept))
        if sampler.done and not (drain and running):
            return sampler.select(), now
        now, launch_id, kept = heapq.heappop(running)
        sampler.tell(launch_id, KEPT if kept else LOST)


def _settings(name: str, streaming: StreamingSettings) -> BatchSettings:
    """Settings of the sampler of this name."""
    if name == "streaming":
        return streaming
    shared = {field.name: getattr(streaming, field.name) for field in fields(BatchSettings)}
    return RoundsSettings(**{**shared, "ratio": name != "dapo"})


def simulate(name: str, world: World) -> dict[str, Any]:
    """Run one sampler for all steps of a world.

    Returns:
        Means over the steps: `prompts_per_step` launched, `time_per_step` in median group durations, `rounds_per_step`
        (for streaming, the times that groups were launched), `max_share_error` (largest |batch share - quota share| of
        a task) and `shortfall` (groups missing from the quotas).

    Raises:
        ValueError: no such sampler.
    """
    if name not in SAMPLERS:
        raise ValueError(f"no sampler {name!r}; there are {', '.join(SAMPLERS)}")
    config = _settings(name, world.sampler)
    tracker = AcceptanceTracker(len(world.weights_K), config.acceptance_decay)
    rows = []
    for step, rates_K in enumerate(world.rates()):
        groups = [_Groups([world.seed, 1, step, task], rate, world.sigma) for task, rate in enumerate(rates_K.tolist())]
        rng = np.random.default_rng([world.seed, 2, step])
        sampler: Sampler
        if name == "oracle":
            sampler = Oracle(world.weights_K, config, world.batch_size, rng, groups)
        else:
            sampler = make_sampler(Step(world.weights_K, tracker, config, world.batch_size, rng, number=step))
        selection, time = run_step(sampler, groups, world.slots, not world.sampler.aborts_surplus)
        share_K = selection.chosen_K / max(int(selection.chosen_K.sum()), 1)
        rows.append(
            (
                selection.launched_K.sum(),
                time,
                selection.rounds,
                np.abs(share_K - selection.quota_K / world.batch_size).max(),
                selection.shortfall_K.sum(),
            )
        )
    names = ("prompts_per_step", "time_per_step", "rounds_per_step", "max_share_error", "shortfall")
    return {"sampler": name, **dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))}
