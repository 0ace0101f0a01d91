"""Settings with their bounds: one dataclass per weight rule, one per sampling schedule.

Each holds only the fields that it reads. Defaults are those of arXiv 2602.05547, three-task experiment. How a training
config names them is the business of `mt_grpo_recipe.config`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


class SettingError(ValueError):
    """A setting that cannot be used.

    Args:
        name: field, with its section where a rule spans sections: "improvement.granularity".
        problem: what was given, what is allowed, and what to do; follows the name in the message.
    """

    def __init__(self, name: str, problem: str):
        super().__init__(name + problem)
        self.name = name
        self.problem = problem


def _require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise SettingError(name, f"={value!r} cannot be used: it must be {allowed}.")


def _require_positive(name: str, value: float) -> None:
    _require(0 < value < math.inf, name, value, "a number above 0")


def _require_at_least(name: str, value: float, least: float) -> None:
    _require(least <= value < math.inf, name, value, f"a number, {least} or more")


def _require_decay(name: str, value: float) -> None:
    _require(0 <= value < 1, name, value, "in [0, 1)")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    _require(value in choices, name, value, "one of " + ", ".join(choices))


# ---------------------------------------------------------------------- rules that move the weights


@dataclass
class FixedSettings:
    """Rule `fixed`: z never moves."""

    rule: ClassVar[str] = "fixed"
    accuracy_decay: ClassVar[float] = 0.0

    initial: list[float] | None = None
    """z, in the order of the tasks; None is uniform."""

    def __post_init__(self) -> None:
        if self.initial is not None:
            valid = all(math.isfinite(w) and w >= 0 for w in self.initial) and sum(self.initial) > 0
            _require(valid, "initial", self.initial, "a list of numbers, none negative, not all zero")

    def initial_of(self, num_tasks: int) -> list[float]:
        """z before it is normalised, one number per task.

        Raises:
            SettingError: `initial` has another number of entries.
        """
        initial = [1.0] * num_tasks if self.initial is None else self.initial
        if len(initial) != num_tasks:
            raise SettingError(
                "weights.initial",
                f" has {len(initial)} numbers for {num_tasks} tasks: give one per task, in the order of mt_grpo.tasks.",
            )
        return initial


@dataclass
class _AdamWSettings:
    learning_rate: float = 0.025
    """beta, step size of AdamW on the logits."""
    accuracy_decay: float = 0.0
    """Weight of the past in the moving average of J_k; 0 takes the accuracy of the step alone."""

    def __post_init__(self) -> None:
        _require_positive("learning_rate", self.learning_rate)
        _require_decay("accuracy_decay", self.accuracy_decay)


@dataclass
class ImprovementAwareSettings(_AdamWSettings):
    """Rule `improvement_aware`: Subroutine 1 (IWU)."""

    rule: ClassVar[str] = "improvement_aware"

    weight_decay: float = 1e-5
    """AdamW's decay of the logits."""
    trade_off: float = 0.2
    """lambda, weight of the accuracy beside the improvement."""
    improvement_clip: float = 0.1
    """c, bound of the improvement."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_at_least("weight_decay", self.weight_decay, 0)
        _require(
            self.trade_off >= 0 and math.isfinite(self.trade_off),
            "trade_off",
            self.trade_off,
            "0 or more (it is the paper's lambda; 0.2 and 0.25 were used with three tasks)",
        )
        _require_positive("improvement_clip", self.improvement_clip)


@dataclass
class RegularizedSettings(_AdamWSettings):
    """Rule `regularized`: Subroutine 2 (the ablation)."""

    rule: ClassVar[str] = "regularized"

    eta: float = 1e-2
    """eta, strength of the pull to uniform weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_at_least("eta", self.eta, 0)


@dataclass
class CurriculumSettings:
    """Rule `sec`: self-evolving curriculum (arXiv 2505.14970)."""

    rule: ClassVar[str] = "sec"
    accuracy_decay: ClassVar[float] = 0.0

    alpha: float = 0.5
    """alpha, the share that a new value takes of Q."""
    temperature: float = 0.2
    """tau, temperature of the softmax over Q."""

    def __post_init__(self) -> None:
        _require(0 < self.alpha <= 1, "alpha", self.alpha, "above 0, at most 1")
        _require_positive("temperature", self.temperature)


@dataclass
class SequentialSettings:
    """Rule `sequential`: one stage of tasks after another."""

    rule: ClassVar[str] = "sequential"
    accuracy_decay: ClassVar[float] = 0.0

    stages: list[list[str]] = field(default_factory=list)
    """The tasks of each stage."""
    stage_steps: int = 240
    """Steps that a stage lasts."""

    def __post_init__(self) -> None:
        _require(bool(self.stages) and all(self.stages), "stages", self.stages, "a list of lists of task names")
        _require_at_least("stage_steps", self.stage_steps, 1)

    def stages_of(self, tasks: Sequence[str]) -> list[list[int]]:
        """Task numbers of each stage.

        Raises:
            SettingError: a stage names a task that is not among `tasks`.
        """
        unknown = sorted({task for stage in self.stages for task in stage} - set(tasks))
        if unknown:
            raise SettingError("weights.stages", f" names {unknown}; the tasks of this run are {list(tasks)}.")
        return [[tasks.index(task) for task in stage] for stage in self.stages]


RuleSettings = FixedSettings | ImprovementAwareSettings | RegularizedSettings | CurriculumSettings | SequentialSettings
RULES: dict[str, type[RuleSettings]] = {
    settings.rule: settings
    for settings in (
        FixedSettings,
        ImprovementAwareSettings,
        RegularizedSettings,
        CurriculumSettings,
        SequentialSettings,
    )
}


# ---------------------------------------------------------------------- how I_k is measured


@dataclass
class ImprovementSettings:
    """How I_k is measured."""

    granularity: str = "step"
    """step: once after the policy update | mini_batch: after every mini-batch | off: never (I_k = 0)."""
    reduction: str = "mean"
    """mean | sum over a task's samples; the authors' released code sums."""
    probe_fraction: float = 1.0
    """Share of each task's samples, drawn anew each step, on which I_k is measured; 1 takes all."""

    def __post_init__(self) -> None:
        _require_choice("granularity", self.granularity, ("step", "mini_batch", "off"))
        _require_choice("reduction", self.reduction, ("mean", "sum"))
        _require(0 < self.probe_fraction <= 1, "probe_fraction", self.probe_fraction, "above 0, at most 1")
        _require(
            self.probe_fraction == 1 or self.reduction == "mean",
            "probe_fraction",
            self.probe_fraction,
            "1 with improvement.reduction=sum (a part of the samples has a smaller sum)",
        )


# ---------------------------------------------------------------------- how the batch is sampled


@dataclass
class SamplerSettings:
    """What both schedules share: what counts, what is dropped, the batch's shares and the step's budget."""

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
    quota: str = "multinomial"
    """multinomial: n ~ Multinomial(B, z) | stratified: drawn with |n_k - B z_k| < 1 | rounded: B z_k to the nearest."""
    oversample: float = 3.0
    """M_os: groups per round, in batches."""
    max_resample_rounds: int = 10
    """N_rs: rounds after the first. Streaming has no rounds, but may launch as many groups in all."""
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
        _require_choice("informative", self.informative, ("mixed", "spread"))
        _require_at_least("ratio_from_step", self.ratio_from_step, 1)
        _require_choice("quota", self.quota, ("multinomial", "stratified", "rounded"))
        _require_at_least("oversample", self.oversample, 1)
        _require_at_least("max_resample_rounds", self.max_resample_rounds, 0)
        _require_at_least("max_inflation", self.max_inflation, 1)
        _require_decay("acceptance_decay", self.acceptance_decay)
        _require_positive("poll_interval_s", self.poll_interval_s)
        _require_positive("stall_timeout_s", self.stall_timeout_s)
        _require(
            not (self.ratio and not self.drop_uninformative),
            "ratio",
            self.ratio,
            "false while sampler.drop_uninformative=false (nothing is dropped, so there is no ratio to preserve)",
        )

    @property
    def fills_by_task(self) -> bool:
        """Whether each task has places of its own in the batch; otherwise any informative group takes any place."""
        return self.ratio or not self.drop_uninformative

    def round_size(self, batch_size: int) -> int:
        """Groups per round: M_os * B, or B where nothing is dropped."""
        return math.ceil(self.oversample * batch_size) if self.drop_uninformative else batch_size

    def budget(self, batch_size: int) -> int:
        """Groups that a step may launch in all: the first round and N_rs more."""
        return self.round_size(batch_size) * (1 + self.max_resample_rounds)


@dataclass
class RoundsSettings(SamplerSettings):
    """Schedule `rounds`: Algorithm 2, one round after another."""

    schedule: ClassVar[str] = "rounds"


@dataclass
class StreamingSettings(SamplerSettings):
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
        _require_at_least("max_inflight", self.max_inflight, 1)
        _require_at_least("safety_margin", self.safety_margin, 0)
        _require_choice("surplus", self.surplus, ("drain", "abort"))

    @property
    def aborts_surplus(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether groups still in flight are stopped once the batch is settled."""
        return self.surplus == "abort"


SCHEDULES: dict[str, type[SamplerSettings]] = {
    settings.schedule: settings for settings in (RoundsSettings, StreamingSettings)
}


# ---------------------------------------------------------------------- all of it


@dataclass
class GeneralSettings:
    """What concerns neither the rule, nor the improvement, nor the sampler."""

    task_key: list[str] = field(default_factory=lambda: ["extra_info.task"])
    """Fields that name a row's task, joined with "-"."""
    tasks: list[str] | None = None
    """Tasks to train, in this order; None is every task of the data, in order of first appearance."""
    seed: int = 0
    """Seed of the quotas, the launch order and the order of the prompts."""
    loss_weighting: str = "none"
    """none | residual: quota share over batch share | task: K z_k (Eq. 6), with z left out of the sampling."""
    max_loss_weight: float = 5.0
    """Bound of the residual weights."""

    def __post_init__(self) -> None:
        _require(len(self.task_key) > 0, "task_key", self.task_key, "a list of at least one field")
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        _require_choice("loss_weighting", self.loss_weighting, ("none", "residual", "task"))
        _require_at_least("max_loss_weight", self.max_loss_weight, 1)
        if self.tasks is not None:
            distinct = len(self.tasks) > 0 and len(set(self.tasks)) == len(self.tasks)
            _require(distinct, "tasks", self.tasks, "null or a list of distinct task names")


@dataclass
class MTGRPOConfig(GeneralSettings):
    """Everything that the config section `mt_grpo` says."""

    weights: RuleSettings = field(default_factory=ImprovementAwareSettings)
    improvement: ImprovementSettings = field(default_factory=ImprovementSettings)
    sampler: SamplerSettings = field(default_factory=RoundsSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tasks is not None and isinstance(self.weights, FixedSettings):
            self.weights.initial_of(len(self.tasks))
        rule, granularity = self.weights.rule, self.improvement.granularity
        _require(
            not (rule == "improvement_aware" and granularity == "off"),
            "improvement.granularity",
            "off",
            "step or mini_batch with weights.rule=improvement_aware, which reads the improvement",
        )
        _require(
            not (rule in ("sec", "sequential") and granularity == "mini_batch"),
            "improvement.granularity",
            "mini_batch",
            f"step with weights.rule={rule}, which moves once per step and reads no improvement",
        )
        _require(
            not (self.loss_weighting == "task" and self.sampler.ratio),
            "loss_weighting",
            "task",
            "none or residual with sampler.ratio=true (the batch already holds the shares z)",
        )
