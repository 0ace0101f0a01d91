"""What `mt_grpo.*` may say: typed fields with bounds. Defaults are those of arXiv 2602.05547, three-task experiment."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

RULES = ("fixed", "improvement_aware", "regularized", "sec", "sequential")


class ConfigError(ValueError):
    """A setting that cannot be used; the message says what was given, what is allowed and what to do."""


def _require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise ConfigError(f"mt_grpo.{name}={value!r} cannot be used: it must be {allowed}.")


def _require_positive(name: str, value: float) -> None:
    _require(0 < value < math.inf, name, value, "a number above 0")


def _require_at_least(name: str, value: float, least: float) -> None:
    _require(least <= value < math.inf, name, value, f"a number, {least} or more")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    _require(value in choices, name, value, "one of " + ", ".join(choices))


@dataclass
class WeightsConfig:
    """How the distribution z over tasks moves."""

    rule: str = "improvement_aware"
    """fixed | improvement_aware (Subroutine 1) | regularized (Subroutine 2) | sec (arXiv 2505.14970) | sequential."""
    initial: list[float] | None = None
    """z of rule `fixed`, in the order of the tasks; null is uniform."""
    learning_rate: float = 0.025
    """beta, step size of AdamW on the logits; for rule `sec` alpha, the share a new value takes."""
    weight_decay: float = 1e-5
    """AdamW's decay of the logits; for rule `regularized` this is eta."""
    trade_off: float = 0.2
    """lambda, weight of the accuracy beside the improvement."""
    improvement_clip: float = 0.1
    """c, bound of the improvement."""
    temperature: float = 0.2
    """tau of rule `sec`."""
    stages: list[list[str]] | None = None
    """Rule `sequential`: the tasks of each stage."""
    stage_steps: int = 240
    """Rule `sequential`: steps a stage lasts."""
    accuracy_decay: float = 0.0
    """Weight of the past in the moving average of J_k; 0 takes the accuracy of the step alone."""

    def __post_init__(self) -> None:
        _require_choice("weights.rule", self.rule, RULES)
        _require_positive("weights.temperature", self.temperature)
        _require_at_least("weights.stage_steps", self.stage_steps, 1)
        alpha_fits = self.rule != "sec" or self.learning_rate <= 1
        _require(alpha_fits, "weights.learning_rate", self.learning_rate, "at most 1 with weights.rule=sec")
        staged = bool(self.stages) and all(self.stages or [])
        _require(
            staged if self.rule == "sequential" else self.stages is None,
            "weights.stages",
            self.stages,
            "a list of lists of task names for weights.rule=sequential, and null for every other rule",
        )
        _require_positive("weights.learning_rate", self.learning_rate)
        _require_at_least("weights.weight_decay", self.weight_decay, 0)
        _require(
            self.trade_off >= 0 and math.isfinite(self.trade_off),
            "weights.trade_off",
            self.trade_off,
            "0 or more (it is the paper's lambda; 0.2 and 0.25 were used with three tasks)",
        )
        _require_positive("weights.improvement_clip", self.improvement_clip)
        _require(0 <= self.accuracy_decay < 1, "weights.accuracy_decay", self.accuracy_decay, "in [0, 1)")
        if self.initial is not None:
            _require(self.rule == "fixed", "weights.initial", self.initial, "null unless weights.rule=fixed")
            valid = all(math.isfinite(w) and w >= 0 for w in self.initial) and sum(self.initial) > 0
            _require(valid, "weights.initial", self.initial, "a list of numbers, none negative, not all zero")


@dataclass
class ImprovementConfig:
    """How I_k is measured."""

    granularity: str = "step"
    """step: once after the policy update | mini_batch: after every mini-batch | off: never (I_k = 0)."""
    reduction: str = "mean"
    """mean | sum over a task's samples; the authors' released code sums."""
    probe_fraction: float = 1.0
    """Share of each task's samples, drawn anew each step, on which I_k is measured; 1 takes all."""

    def __post_init__(self) -> None:
        _require(0 < self.probe_fraction <= 1, "improvement.probe_fraction", self.probe_fraction, "above 0, at most 1")
        _require(
            self.probe_fraction == 1 or self.reduction == "mean",
            "improvement.probe_fraction",
            self.probe_fraction,
            "1 with improvement.reduction=sum (a part of the samples has a smaller sum)",
        )
        _require_choice("improvement.reduction", self.reduction, ("mean", "sum"))
        _require_choice("improvement.granularity", self.granularity, ("step", "mini_batch", "off"))


@dataclass
class SamplerConfig:
    """How the batch of a step is generated and chosen (Algorithm 2)."""

    schedule: str = "rounds"
    """rounds: Algorithm 2, one round after another | streaming: a finished group calls for its replacement at once."""
    filter: str = "strict"
    """strict: keep groups with some but not all rollouts right | lenient: rewards not all equal | off: keep all."""
    ratio: bool = True
    """Keep the batch at the shares that z asks for."""
    ratio_from_step: int = 1
    """Step from which the ratio is kept; 10 in the released nine-task scripts."""
    quota: str = "multinomial"
    """multinomial: n ~ Multinomial(B, z) | stratified: drawn with |n_k - B z_k| < 1 | rounded: B z_k to the nearest."""
    oversample: float = 3.0
    """M_os: groups generated a round, in batches."""
    inflate: bool = True
    """Generate more for tasks whose groups are often filtered."""
    max_inflation: float = 5.0
    """M_acc, bound of that in rounds; streaming needs none, `max_inflight` bounds it."""
    max_resample_rounds: int = 10
    """N_rs: rounds after the first. Streaming has no rounds, but may launch as many groups in all."""
    max_inflight: float = 3.0
    """Streaming: most groups in flight, in batches."""
    safety_margin: float = 0.0
    """Streaming: groups launched beyond the number expected to be needed, in standard deviations of that number."""
    surplus: str = "drain"
    """Streaming, once the batch is settled: drain: wait for the groups still in flight | abort: drop them. The batch is
    the same; J_k of an aborted step leans to what ended early."""
    acceptance_decay: float = 0.9
    """Weight of the past in the moving average rho_k."""
    poll_interval_s: float = 0.05
    """Seconds between two looks for finished groups."""
    stall_timeout_s: float = 3600.0
    """Seconds without any finished group after which those in flight are given up."""

    def __post_init__(self) -> None:
        _require_choice("sampler.schedule", self.schedule, ("rounds", "streaming"))
        _require_choice("sampler.filter", self.filter, ("strict", "lenient", "off"))
        _require_choice("sampler.quota", self.quota, ("multinomial", "stratified", "rounded"))
        _require_at_least("sampler.ratio_from_step", self.ratio_from_step, 1)
        _require_at_least("sampler.oversample", self.oversample, 1)
        _require_at_least("sampler.max_inflation", self.max_inflation, 1)
        _require_at_least("sampler.max_resample_rounds", self.max_resample_rounds, 0)
        _require_at_least("sampler.max_inflight", self.max_inflight, 1)
        _require_at_least("sampler.safety_margin", self.safety_margin, 0)
        _require_choice("sampler.surplus", self.surplus, ("drain", "abort"))
        _require(0 <= self.acceptance_decay < 1, "sampler.acceptance_decay", self.acceptance_decay, "in [0, 1)")
        _require_positive("sampler.poll_interval_s", self.poll_interval_s)
        _require_positive("sampler.stall_timeout_s", self.stall_timeout_s)
        _require(
            not (self.ratio and self.filter == "off"),
            "sampler.ratio",
            self.ratio,
            "false while sampler.filter=off (nothing is dropped, so there is no ratio to preserve)",
        )

    def round_size(self, batch_size: int) -> int:
        """Groups generated a round: M_os * B, or B where nothing is filtered."""
        return batch_size if self.filter == "off" else math.ceil(self.oversample * batch_size)

    def budget(self, batch_size: int) -> int:
        """Groups a step may launch in all: the first round and N_rs more."""
        return self.round_size(batch_size) * (1 + self.max_resample_rounds)


@dataclass
class MTGRPOConfig:
    """The group `mt_grpo` of the training config."""

    task_key: list[str] = field(default_factory=lambda: ["extra_info.task"])
    """Fields that name a row's task, joined with "-"."""
    tasks: list[str] | None = None
    """Tasks to train, in this order; null is every task of the data, in order of first appearance."""
    seed: int = 0
    """Seed of the quotas, the launch order and the order of the prompts."""
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    improvement: ImprovementConfig = field(default_factory=ImprovementConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
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
            initial = self.weights.initial
            if initial is not None:
                allowed = f"a list of {len(self.tasks)} numbers, one a task"
                _require(len(initial) == len(self.tasks), "weights.initial", initial, allowed)
        _require(
            not (self.weights.rule == "improvement_aware" and self.improvement.granularity == "off"),
            "improvement.granularity",
            "off",
            "step or mini_batch with weights.rule=improvement_aware, which reads the improvement",
        )
        _require(
            not (self.weights.rule in ("sec", "sequential") and self.improvement.granularity == "mini_batch"),
            "improvement.granularity",
            "mini_batch",
            f"step with weights.rule={self.weights.rule}, which moves once a step and reads no improvement",
        )
        _require(
            not (self.loss_weighting == "task" and self.sampler.ratio),
            "loss_weighting",
            "task",
            "none or residual with sampler.ratio=true (the batch already holds the shares z)",
        )
