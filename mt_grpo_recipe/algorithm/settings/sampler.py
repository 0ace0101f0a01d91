"""Settings of the sampler, one dataclass per schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from mt_grpo_recipe.algorithm.settings.bounds import (
    require,
    require_at_least,
    require_choice,
    require_decay,
    require_positive,
)


@dataclass
class SamplerSettings:
    """What all schedules share: what counts, what is dropped, and whether the batch keeps its shares."""

    schedule: ClassVar[str]
    aborts_surplus: ClassVar[bool] = False

    informative: str = "mixed"
    """Which groups are informative. mixed: some but not all rollouts are right (the paper's three-task experiment) |
    spread: the rewards are not all equal (nine tasks)."""
    drop_uninformative: bool = True
    """Filter out the groups that are not informative, and generate others; False trains on every group."""
    ratio: bool = True
    """Keep the batch at the shares that z asks for."""
    ratio_from_step: int = 1
    """Step from which the ratio is kept; 10 in the released nine-task scripts."""
    inflate: bool = True
    """Generate more for tasks whose groups are often filtered."""
    max_inflation: float = 5.0
    """M_acc, bound of that in rounds and in what is launched ahead; in a streaming step `max_inflight` is the bound."""
    acceptance_decay: float = 0.9
    """Weight of the past in the moving average rho_k."""
    poll_interval_s: float = 0.05
    """Seconds between two looks for finished groups."""
    stall_timeout_s: float = 3600.0
    """Seconds without any finished group after which those in flight are given up."""

    def __post_init__(self) -> None:
        require_choice("informative", self.informative, ("mixed", "spread"))
        require_at_least("ratio_from_step", self.ratio_from_step, 1)
        require_at_least("max_inflation", self.max_inflation, 1)
        require_decay("acceptance_decay", self.acceptance_decay)
        require_positive("poll_interval_s", self.poll_interval_s)
        require_positive("stall_timeout_s", self.stall_timeout_s)
        require(
            not (self.ratio and not self.drop_uninformative),
            "ratio",
            self.ratio,
            "false while sampler.drop_uninformative=false (nothing is dropped, so there is no ratio to preserve)",
        )

    @property
    def tests_right(self) -> bool:
        """Whether the filter asks which rollouts are right; otherwise their rewards decide, or nothing is dropped."""
        return self.drop_uninformative and self.informative == "mixed"

    @property
    def fills_by_task(self) -> bool:
        """Whether each task has places of its own in the batch; otherwise any informative group takes any place."""
        return self.ratio or not self.drop_uninformative


@dataclass
class BatchSettings(SamplerSettings):
    """What the schedules share that fill a batch of B groups: its quotas, and what a step may generate for it."""

    quota: str = "multinomial"
    """multinomial: n ~ Multinomial(B, z) | stratified: drawn with |n_k - B z_k| < 1 | rounded: B z_k to the nearest."""
    oversample: float = 3.0
    """M_os: groups per round, in batches."""
    max_resample_rounds: int = 10
    """N_rs: rounds after the first. Streaming has no rounds, but may launch as many groups in all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("quota", self.quota, ("multinomial", "stratified", "rounded"))
        require_at_least("oversample", self.oversample, 1)
        require_at_least("max_resample_rounds", self.max_resample_rounds, 0)

    def round_size(self, batch_size: int) -> int:
        """Groups per round: M_os * B, or B where nothing is dropped."""
        return math.ceil(self.oversample * batch_size) if self.drop_uninformative else batch_size

    def budget(self, batch_size: int) -> int:
        """Groups that a step may launch in all: the first round and N_rs more."""
        return self.round_size(batch_size) * (1 + self.max_resample_rounds)


@dataclass
class RoundsSettings(BatchSettings):
    """Schedule `rounds`: Algorithm 2, one round after another."""

    schedule: ClassVar[str] = "rounds"


@dataclass
class StreamingSettings(BatchSettings):
    """Schedule `streaming`: a finished group calls for its replacement at once."""

    schedule: ClassVar[str] = "streaming"

    max_inflight: float = 3.0
    """Most groups in flight, in batches."""
    safety_margin: float = 0.0
    """Groups launched beyond the number expected to be needed, in standard deviations of that number."""
    surplus: str = "drain"
    """Once the batch is settled: drain: wait for the groups still in flight | abort: drop them. The batch is the same;
    J_k of an aborted step leans to what ended early."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("max_inflight", self.max_inflight, 1)
        require_at_least("safety_margin", self.safety_margin, 0)
        require_choice("surplus", self.surplus, ("drain", "abort"))

    @property
    def aborts_surplus(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether groups still in flight are stopped once the batch is settled."""
        return self.surplus == "abort"


@dataclass
class BudgetSettings(SamplerSettings):
    """Schedule `budget`: generate B groups, train on all that are informative, owe each task what it did not get."""

    schedule: ClassVar[str] = "budget"


SCHEDULES: dict[str, type[SamplerSettings]] = {
    settings.schedule: settings for settings in (RoundsSettings, StreamingSettings, BudgetSettings)
}
