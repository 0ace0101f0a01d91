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
    """Which groups are informative. mixed: some but not all rollouts are right (the paper's three tasks); spread: the
    rewards are not all equal (its nine tasks)."""
    drop_uninformative: bool = True
    """Drop the groups that are not informative; where false, every finished group is trained on."""
    ratio: bool = True
    """Keep the batch at the shares that z asks for."""
    ratio_from_step: int = 1
    """First step in which the shares are kept; 10 in the released nine-task scripts."""
    inflate: bool = True
    """Generate more groups of tasks whose groups are often filtered."""
    max_inflation: float = 5.0
    """M_acc: largest factor of `inflate`. In a streaming step `max_inflight` is the bound instead."""
    acceptance_decay: float = 0.9
    """Weight of the past in rho_k, the moving average of the share of filtered groups."""
    poll_interval_s: float = 0.05
    """Seconds between checks for finished groups."""
    stall_timeout_s: float = 3600.0
    """Seconds without a finished group after which those in flight count as failed."""

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

    def most_groups(self, batch_size: int) -> int:
        """Groups that a step may generate if none fails: B, unless the schedule says otherwise."""
        return batch_size


@dataclass
class BatchSettings(SamplerSettings):
    """What the schedules that fill a batch of B groups share: its quotas, and what a step may generate for it."""

    quota: str = "multinomial"
    """How n_k, the groups wanted of each task, come from z. multinomial: drawn, Multinomial(B, z), as in Algorithm 2;
    stratified: drawn, each less than 1 from B z_k; rounded: B z_k rounded, without a draw."""
    oversample: float = 3.0
    """M_os: groups per round, as a multiple of B."""
    max_resample_rounds: int = 10
    """N_rs: rounds after the first. Streaming has no rounds, but may launch as many groups in all. What is still short
    after that is logged, and training goes on."""

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

    def most_groups(self, batch_size: int) -> int:
        """Groups that a step may generate if none fails: its whole budget, or B where nothing is dropped."""
        return self.budget(batch_size) if self.drop_uninformative else batch_size


@dataclass
class RoundsSettings(BatchSettings):
    """Schedule `rounds`: Algorithm 2, one round after another."""

    schedule: ClassVar[str] = "rounds"


@dataclass
class StreamingSettings(BatchSettings):
    """Schedule `streaming`: a group that is filtered is replaced at once."""

    schedule: ClassVar[str] = "streaming"

    max_inflight: float = 3.0
    """Largest number of groups in flight, as a multiple of B."""
    safety_margin: float = 0.0
    """Groups launched beyond the number expected to be needed, in standard deviations of that number."""
    surplus: str = "drain"
    """What becomes of groups in flight once the batch is settled. drain: wait for them; abort: stop them. The batch is
    the same, but J_k of an aborted step favours groups that end early."""

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
    """Schedule `budget`: B groups per step, every informative one trained on; a task is owed what it did not get.

    A task whose informative groups are very rare, one in a hundred, can take most of the budget.
    """

    schedule: ClassVar[str] = "budget"


SCHEDULES: dict[str, type[SamplerSettings]] = {
    settings.schedule: settings for settings in (RoundsSettings, StreamingSettings, BudgetSettings)
}
