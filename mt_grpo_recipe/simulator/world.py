"""What is simulated: the tasks, how often their rollouts succeed, and the engine's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat

import numpy as np

from mt_grpo_recipe.algorithm.arrays import BoolArray, FloatArray
from mt_grpo_recipe.algorithm.settings import SamplerSettings, StreamingSettings

CHUNK = 64
MOST = 1_000_000_000
"""Largest whole number of the command line."""
MOST_IN_BATCHES = {"oversample": 1e6, "max_inflight": 1e12, "safety_margin": 1e12}
"""Setting of a sampler -> the most groups that it may come to with a batch; those of a round are held in memory."""

DrawKept = Callable[[np.random.Generator, int], BoolArray]
"""Draws, for this many groups, whether the filter keeps each."""


@dataclass(frozen=True)
class SuccessRates:
    """How often a task's prompts are solved: a prompt's success rate is 0 with probability `hopeless`, else Beta(a, b).

    Raises:
        ValueError: a number out of bounds.
    """

    a: float
    b: float
    hopeless: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.a < np.inf and 0 < self.b < np.inf and 0 <= self.hopeless <= 1):
            raise ValueError(
                f"success rates a={self.a:g}, b={self.b:g}, p0={self.hopeless:g}: a and b must be finite and above 0, "
                "p0 must lie in [0, 1]"
            )

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Success rates of this many prompts, shape (count,)."""
        return np.where(rng.random(count) < self.hopeless, 0.0, rng.beta(self.a, self.b, size=count))

    def draw_informative(self, rng: np.random.Generator, count: int, group_size: int) -> BoolArray:
        """Whether some but not all rollouts succeed, for this many groups of `group_size`, shape (count,)."""
        successes = rng.binomial(group_size, self.draw(rng, count))
        return (successes > 0) & (successes < group_size)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def draw_at_rate(rng: np.random.Generator, count: int, zero_grad_rate: float) -> BoolArray:
    """Whether the filter keeps each of this many groups when it drops this share, shape (count,)."""
    return rng.random(count) >= zero_grad_rate


class Groups:
    """Outcomes and durations of one task's groups in one step, drawn as far as they are asked for.

    Args:
        seed: of these groups alone.
        draw_kept: draws which of them are informative.
        sigma: standard deviation of the logarithm of their durations.
    """

    def __init__(self, seed: list[int], draw_kept: DrawKept, sigma: float):
        self._rng = np.random.default_rng(seed)
        self._draw_kept = draw_kept
        self._sigma = sigma
        self._kept: list[bool] = []
        self._durations: list[float] = []

    def __getitem__(self, index: int) -> tuple[bool, float]:
        """Whether the group is informative, and how long it takes."""
        while index >= len(self._kept):
            self._kept += self._draw_kept(self._rng, CHUNK).tolist()
            self._durations += self._rng.lognormal(sigma=self._sigma, size=CHUNK).tolist()
        return self._kept[index], self._durations[index]


def require_size(sampler: SamplerSettings, batch_size: int, written: Callable[[str], str]) -> None:
    """Refuse settings under which a step has more groups than can be simulated.

    Args:
        sampler: the settings.
        batch_size: groups per batch.
        written: name and value of a setting -> how the user writes it.

    Raises:
        ValueError: names the setting, and the most that it may come to.
    """
    for name, most in MOST_IN_BATCHES.items():
        value = getattr(sampler, name, 0.0)
        if value * batch_size > most:
            raise ValueError(
                f"{written(name)} with batches of {batch_size:,} groups: at most {most:,.0f} groups can be simulated. "
                "Give less"
            )


@dataclass
class World:
    """What is simulated.

    Durations are log-normal with median one: all times are in units of the median group.

    Raises:
        ValueError: a number that cannot be used, or numbers that do not fit together; it names them as the command line
            of `mt-grpo simulate` does.
    """

    weights_K: FloatArray
    zero_grad_rates_K: FloatArray | None
    """Share of groups that are filtered, in [0, 1], shape (K,); None where `success_rates` says it."""
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
    """Settings of the streaming sampler; the others take those that they share with it."""
    group_size: int = 8
    """Rollouts per group."""
    success_rates: Sequence[SuccessRates] | None = None
    """How often each task's rollouts succeed, length K; None where `zero_grad_rates_K` says what the filter drops."""

    def __post_init__(self) -> None:
        self.weights_K = np.asarray(self.weights_K, dtype=np.float64)
        if not (np.isfinite(self.weights_K).all() and (self.weights_K >= 0).all() and self.weights_K.sum() > 0):
            raise ValueError(f"--weights {self.weights_K.tolist()}: they must be 0 or more, and not all 0")
        for name, least in (("batch_size", 1), ("slots", 1), ("steps", 1), ("seed", 0), ("group_size", 0)):
            if not least <= getattr(self, name) <= MOST:
                bound = f"{least} or more" if getattr(self, name) < least else f"{MOST:,} or less"
                raise ValueError(f"{_option(name)} {getattr(self, name)}: it must be {bound}")
        if self.group_size < 2:
            raise ValueError(f"--group-size {self.group_size}: it must be 2 or more, one rollout has no other to beat")
        for name in ("sigma", "drift"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"--{name} {getattr(self, name)}: it must be finite and 0 or more")
        require_size(self.sampler, self.batch_size, lambda name: f"{_option(name)} {getattr(self.sampler, name):g}")
        self._check_outcomes()
        self.weights_K = self.weights_K / self.weights_K.sum()

    def _check_outcomes(self) -> None:
        if (self.zero_grad_rates_K is None) == (self.success_rates is None):
            raise ValueError(
                "give either --zero-grad-rates or --success-rates, not both: what the filter drops follows from the "
                "success rates and the group size"
            )
        if self.success_rates is not None:
            given, what = len(self.success_rates), "--success-rates"
            if self.drift > 0:
                raise ValueError(f"--drift {self.drift} moves zero-gradient rates: leave it out with --success-rates")
        else:
            self.zero_grad_rates_K = np.asarray(self.zero_grad_rates_K, dtype=np.float64)
            given, what = len(self.zero_grad_rates_K), "--zero-grad-rates"
            if not ((self.zero_grad_rates_K >= 0) & (self.zero_grad_rates_K <= 1)).all():
                raise ValueError(f"--zero-grad-rates {self.zero_grad_rates_K.tolist()}: they must lie in [0, 1]")
        if len(self.weights_K) != given:
            raise ValueError(f"there are {len(self.weights_K)} --weights and {given} {what}: give one of each per task")

    def rates(self) -> Iterator[FloatArray]:
        """Zero-gradient rates of each step: with drift a random walk within [0.02, 0.98], except rates of 0 and 1."""
        assert self.zero_grad_rates_K is not None, "success rates are given"
        rng = np.random.default_rng([self.seed, 0])
        moving_K = (self.zero_grad_rates_K > 0) & (self.zero_grad_rates_K < 1) & (self.drift > 0)
        rates_K = self.zero_grad_rates_K
        for _ in range(self.steps):
            yield rates_K
            moved_K = rates_K + rng.normal(scale=self.drift, size=len(rates_K))
            rates_K = np.where(moving_K, np.clip(moved_K, 0.02, 0.98), rates_K)

    def groups(self) -> Iterator[list[Groups]]:
        """The groups of each step, by task: the same at every call."""
        for step, draws in enumerate(self._draws()):
            yield [Groups([self.seed, 1, step, task], draw, self.sigma) for task, draw in enumerate(draws)]

    def _draws(self) -> Iterator[list[DrawKept]]:
        if self.success_rates is None:
            for rates_K in self.rates():
                yield [partial(draw_at_rate, zero_grad_rate=rate) for rate in rates_K.tolist()]
        else:
            by_task = [partial(rates.draw_informative, group_size=self.group_size) for rates in self.success_rates]
            yield from repeat(by_task, self.steps)
