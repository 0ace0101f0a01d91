"""What every sampler is given and does: one step, as a state machine that knows nothing of models or queues.

A driver asks what to launch, launches it, and tells what came of each group:

    sampler = make_sampler(step)
    while not sampler.done:
        tasks = sampler.ask()               # tasks of the groups to launch now, in order; often empty
        ...                                 # launch them, wait for some to end
        sampler.tell(launch_id, result)     # once for every launch
    selection = sampler.select()

Launch ids count from zero in the order of launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.arrays import BoolArray, FloatArray, IntArray
from mt_grpo_recipe.algorithm.groups import Group, GroupResult
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.settings import SamplerSettings


@dataclass(frozen=True)
class Step:
    """What a sampler needs to run one step."""

    weights_K: FloatArray
    """z, shape (K,), non-negative, not all zero."""
    tracker: AcceptanceTracker
    """rho, the memory across steps; the sampler updates it."""
    settings: SamplerSettings
    """Settings of the sampler's schedule."""
    batch_size: int
    """B."""
    rng: np.random.Generator
    """Seeded source of every draw."""
    owed_K: FloatArray | None = None
    """Groups that each task is owed from earlier steps, shape (K,); schedule `budget` makes up for them."""
    number: int = 1
    """Which step of the run this is."""
    broken: Sequence[int] = ()
    """Tasks whose groups have all failed for some steps. Until a group of such a task finishes, a step launches no more
    of it than its share, so that it cannot use up the budget of the others."""
    carried: Sequence[Group] | None = None
    """Groups that earlier steps left, in order of launch: they have the first launch ids. None: no step leaves any."""

    @property
    def broken_K(self) -> BoolArray:
        """Whether each task is one of `broken`, shape (K,)."""
        return np.isin(np.arange(len(self.weights_K)), self.broken)

    @property
    def inflation_K(self) -> FloatArray:
        """m_k: groups to launch per informative one wanted, shape (K,); 1 for a broken task, or if no ratio is kept."""
        if not (self.settings.ratio and self.settings.inflate):
            return np.ones(len(self.weights_K))
        return np.where(self.broken_K, 1.0, self.tracker.inflation_K(self.settings.max_inflation))


class Sampler(Protocol):
    """Runs one step."""

    quota_K: IntArray
    """n, groups wanted of each task, shape (K,)."""

    @property
    def done(self) -> bool:
        """Whether the batch can be selected."""
        ...

    @property
    def in_flight(self) -> int:
        """Groups launched whose result was not told yet; may be above zero when done."""
        ...

    def ask(self) -> list[int]:
        """Tasks of the groups to launch now, in launch order; often empty."""
        ...

    def tell(self, launch_id: int, result: GroupResult) -> None:
        """Say what came of a group.

        Raises:
            ValueError: the group was never launched, or its result is known already.
        """
        ...

    def select(self) -> Selection:
        """Choose the batch."""
        ...
