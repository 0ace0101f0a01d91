"""The one object that holds state: weights z, acceptance rho, accuracies J, and the random numbers behind the draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.objective import residual_weights
from mt_grpo_recipe.algorithm.ratio_sampler import Outcome, RoundsSampler, Selection, stratified_counts
from mt_grpo_recipe.algorithm.streaming_sampler import Carried, StreamingSampler
from mt_grpo_recipe.algorithm.task_weights import (
    FixedWeights,
    ImprovementAwareWeights,
    RegularizedWeights,
    SelfEvolvingWeights,
    SequentialWeights,
    Signal,
    WeightRule,
)
from mt_grpo_recipe.config.schema import ConfigError, MTGRPOConfig, SamplerConfig, WeightsConfig

STATE_VERSION = 1


class StateMismatch(ValueError):
    """A checkpoint of another set-up; the message names what differs."""


def build_rule(config: WeightsConfig, tasks: list[str]) -> WeightRule:
    """Make the rule that `mt_grpo.weights` asks for.

    Raises:
        ConfigError: `weights.initial` or `weights.stages` does not fit the tasks that the data holds.
    """
    num_tasks = len(tasks)
    if config.rule == "fixed":
        initial = np.ones(num_tasks) if config.initial is None else np.asarray(config.initial, dtype=np.float64)
        if len(initial) != num_tasks:
            raise ConfigError(
                f"mt_grpo.weights.initial has {len(initial)} numbers for {num_tasks} tasks: give one a task, "
                "in the order of mt_grpo.tasks."
            )
        return FixedWeights(initial)
    if config.rule == "sequential":
        unknown = sorted({task for stage in config.stages or [] for task in stage} - set(tasks))
        if unknown:
            raise ConfigError(f"mt_grpo.weights.stages names {unknown}; the tasks of this run are {tasks}.")
        stages = [[tasks.index(task) for task in stage] for stage in config.stages or []]
        return SequentialWeights(num_tasks, stages, config.stage_steps)
    if config.rule == "sec":
        return SelfEvolvingWeights(num_tasks, config.learning_rate, config.temperature)
    if config.rule == "regularized":
        return RegularizedWeights(num_tasks, config.learning_rate, config.weight_decay)
    return ImprovementAwareWeights(
        num_tasks, config.learning_rate, config.weight_decay, config.trade_off, config.improvement_clip
    )


class Sampler(Protocol):
    """What drives one step; see `ratio_sampler` for how it is driven."""

    quota_K: IntArray

    @property
    def done(self) -> bool:
        """Whether the batch can be selected."""
        ...

    @property
    def in_flight(self) -> int:
        """Groups launched of which nothing was told yet; may be above zero when done (see `sampler.surplus`)."""
        ...

    def ask(self) -> list[int]:
        """Tasks of the groups to launch now, in launch order; often empty."""
        ...

    def tell(self, launch_id: int, outcome: Outcome) -> None:
        """Say what came of a group."""
        ...

    def select(self) -> Selection:
        """Choose the batch."""
        ...


def make_sampler(
    weights_K: FloatArray,
    tracker: AcceptanceTracker,
    config: SamplerConfig,
    batch_size: int,
    rng: np.random.Generator,
    carried: Sequence[Carried] | None = None,
) -> Sampler:
    """Make the sampler of one step that `mt_grpo.sampler.schedule` asks for; arguments as for `StreamingSampler`.

    Raises:
        ValueError: groups were left by earlier steps, which rounds have no use for.
    """
    if config.schedule == "streaming":
        return StreamingSampler(weights_K, tracker, config, batch_size, rng, carried)
    if carried is not None:
        raise ValueError("sampler.schedule=rounds begins every step with nothing; use streaming to carry groups over")
    return RoundsSampler(weights_K, tracker, config, batch_size, rng)


class TaskController:
    """Decides, step by step, what to sample and how the tasks weigh.

    A step is `begin_step` (gives a sampler to run), `observe` (what the sampler brought), then `update_weights` once
    for every improvement measured, and `metrics`.

    Args:
        tasks: names of the K tasks, distinct.
        batch_size: B, prompts a batch.
        config: checked settings.
    """

    def __init__(self, tasks: list[str], batch_size: int, config: MTGRPOConfig):
        self.tasks = list(tasks)
        self.batch_size = batch_size
        self._config = config
        self._rule = build_rule(config.weights, self.tasks)
        self._tracker = AcceptanceTracker(len(tasks), config.sampler.acceptance_decay)
        self._accuracy_K = np.full(len(tasks), math.nan)
        self._rng = np.random.default_rng(np.random.SeedSequence([config.seed, 0]))
        self._steps = 0
        self._metrics: dict[str, dict[int, float]] = {}

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,)."""
        return self._rule.weights_K

    @property
    def reads(self) -> Signal:
        """What `update_weights` takes."""
        return self._rule.reads

    def begin_step(self, carried: Sequence[Carried] | None = None) -> Sampler:
        """Draw this step's quotas and return the sampler that fills them.

        Args:
            carried: groups that earlier steps left, in order of launch; None where no step leaves any.
        """
        self._steps += 1
        self._metrics = {"weight": dict(enumerate(self.weights_K.tolist()))}
        sampler = self._config.sampler
        if self._steps < sampler.ratio_from_step:
            sampler = replace(sampler, ratio=False)
        return make_sampler(self._sampled_shares_K, self._tracker, sampler, self.batch_size, self._rng, carried)

    @property
    def _sampled_shares_K(self) -> FloatArray:
        """Shares that the tasks are sampled by, shape (K,)."""
        # With loss_weighting=task the tasks are sampled alike and z acts in the loss alone (Eq. 6).
        uniform_K = np.full(len(self.tasks), 1 / len(self.tasks))
        return uniform_K if self._config.loss_weighting == "task" else self.weights_K

    def look_ahead(self, held_K: IntArray, count: int) -> list[int]:
        """Choose what to generate before the next step has drawn its quotas.

        Args:
            held_K: groups in flight or in stock, shape (K,).
            count: groups to launch.

        Returns:
            A task for each of them, in launch order, so that with those held the shares come as near as can be to
            z_k m_k, m_k being the inflation by the tracked share of filtered groups (1 where no ratio is kept).
        """
        config = self._config.sampler
        wanted_K = self._sampled_shares_K
        if config.ratio and config.inflate:
            wanted_K = wanted_K * self._tracker.inflation_K(config.max_inflation)
        lacking_K = np.maximum(wanted_K / wanted_K.sum() * (held_K.sum() + count) - held_K, 0)
        counts_K = stratified_counts(lacking_K / lacking_K.sum(), count, self._rng)
        return self._rng.permutation(np.repeat(np.arange(len(counts_K)), counts_K)).tolist()

    def observe(
        self,
        selection: Selection,
        correct_K: FloatArray,
        flat_K: IntArray | None = None,
        chosen_flat_K: IntArray | None = None,
    ) -> None:
        """Take in what the step generated.

        Args:
            selection: what the sampler chose, and its counts.
            correct_K: sum over all finished groups of the share of right rollouts, shape (K,); J_k is its mean.
            flat_K: groups without a gradient that the filter let through, shape (K,); None is none, as with a filter.
            chosen_flat_K: those of them in the batch, shape (K,).
        """
        seen_K = selection.finished_K > 0
        step_accuracy_K = np.divide(correct_K, selection.finished_K, out=np.zeros(len(seen_K)), where=seen_K)
        decay = self._config.weights.accuracy_decay
        first_K = seen_K & np.isnan(self._accuracy_K)
        self._accuracy_K[first_K] = step_accuracy_K[first_K]
        self._accuracy_K[seen_K] = decay * self._accuracy_K[seen_K] + (1 - decay) * step_accuracy_K[seen_K]

        zero_grad_K = selection.filtered_K if flat_K is None else selection.filtered_K + flat_K
        gradient_K = selection.chosen_K if chosen_flat_K is None else selection.chosen_K - chosen_flat_K
        self._put("target_share", selection.quota_K / selection.quota_K.sum())
        self._put("batch_share", gradient_K / max(int(gradient_K.sum()), 1))
        self._put("zero_grad_rate", zero_grad_K / np.maximum(selection.finished_K, 1), seen_K)
        self._put("accuracy", step_accuracy_K, seen_K)
        self._put("generated", selection.launched_K)
        self._put("shortfall", selection.shortfall_K)

    def update_weights(self, signal_K: FloatArray) -> None:
        """Move z by one update of the rule.

        Args:
            signal_K: what `reads` names, shape (K,); NaN for a task the batch did not hold, which counts as zero.
        """
        measured_K = ~np.isnan(signal_K)
        if self.reads is not Signal.NONE:
            self._put(self.reads.value, signal_K, measured_K)
        # A task never seen yet has no accuracy: the mean of the others keeps it from being pushed either way.
        known_K = ~np.isnan(self._accuracy_K)
        fallback = self._accuracy_K[known_K].mean() if known_K.any() else 0.0
        accuracy_K = np.where(known_K, self._accuracy_K, fallback)
        self._rule.update(accuracy_K, np.where(measured_K, signal_K, 0.0))

    def loss_weights_K(self, selection: Selection) -> FloatArray | None:
        """Weight of each task's samples in the policy loss, shape (K,); None where all are one."""
        if self._config.loss_weighting == "residual":
            return residual_weights(selection.quota_K, selection.chosen_K, self._config.max_loss_weight)
        if self._config.loss_weighting == "task":
            return self.weights_K * len(self.tasks)
        return None

    def _put(self, name: str, values_K: FloatArray | IntArray, where_K: np.ndarray | None = None) -> None:
        tasks = range(len(self.tasks)) if where_K is None else np.flatnonzero(where_K).tolist()
        self._metrics[name] = {task: float(values_K[task]) for task in tasks}

    def metrics(self) -> dict[str, dict[str, float]]:
        """Numbers of the current step: metric name -> task -> value; a task without a value is left out."""
        return {
            name: {self.tasks[task]: value for task, value in by_task.items()}
            for name, by_task in self._metrics.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """All state as JSON-able values; floats survive JSON exactly."""
        return {
            "version": STATE_VERSION,
            "tasks": self.tasks,
            "seed": self._config.seed,
            "rule": self._config.weights.rule,
            "batch_size": self.batch_size,
            "steps": self._steps,
            "weights": self._rule.state_dict(),
            "acceptance": self._tracker.state_dict(),
            "accuracy": [None if math.isnan(a) else a for a in self._accuracy_K.tolist()],
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave.

        Raises:
            StateMismatch: the state belongs to other tasks, another rule, seed or batch size.
        """
        mine = self.state_dict()
        differing = [
            f"{key}: the checkpoint has {state.get(key)!r}, this run has {mine[key]!r}"
            for key in ("version", "tasks", "rule", "seed", "batch_size")
            if state.get(key) != mine[key]
        ]
        if differing:
            raise StateMismatch(
                "The checkpoint was written by a different set-up and cannot be resumed. "
                + "; ".join(differing)
                + ". Restore the old settings, or start afresh with trainer.resume_mode=disable."
            )
        self._steps = state["steps"]
        self._rule.load_state_dict(state["weights"])
        self._tracker.load_state_dict(state["acceptance"])
        self._accuracy_K = np.asarray([math.nan if a is None else a for a in state["accuracy"]], dtype=np.float64)
        self._rng.bit_generator.state = state["rng"]
