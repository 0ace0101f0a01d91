"""A driver for samplers: launches are answered by a function, in an order that the test chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.groups import GroupResult
from mt_grpo_recipe.algorithm.selection import Selection


@dataclass
class Run:
    """What a step did."""

    selection: Selection
    task_of: list[int] = field(default_factory=list)
    outcome_of: list[GroupResult | None] = field(default_factory=list)
    """By launch id; None for a group that was still in flight when the step was done."""
    asks: list[list[int]] = field(default_factory=list)
    """Every answer of `ask` that launched something."""


def _drive(sampler, answer: Callable[[int, int], GroupResult], order: np.random.Generator, bound: int = 100_000) -> Run:
    """Run one step until it is done.

    Args:
        sampler: fresh.
        answer: (launch id, task) -> result.
        order: picks the group in flight that ends next.
        bound: number of asks after which the step counts as hung.
    """
    task_of: list[int] = []
    outcome_of: list[GroupResult | None] = []
    asks: list[list[int]] = []
    waiting: list[int] = []
    for _ in range(bound):
        if sampler.done:
            return Run(sampler.select(), task_of, outcome_of, asks)
        launches = sampler.ask()
        if launches:
            asks.append(launches)
            waiting += range(len(task_of), len(task_of) + len(launches))
            task_of += launches
            outcome_of += [None] * len(launches)
        assert waiting, "nothing is in flight, nothing is asked for, and the step is not done"
        assert sampler.in_flight == len(waiting)
        launch_id = waiting.pop(int(order.integers(len(waiting))))
        outcome_of[launch_id] = answer(launch_id, task_of[launch_id])
        sampler.tell(launch_id, outcome_of[launch_id])
    raise AssertionError(f"the step is not done after {bound} asks")


@pytest.fixture(scope="session")
def drive():
    """`_drive`, for every test; session scope lets property tests use it."""
    return _drive
