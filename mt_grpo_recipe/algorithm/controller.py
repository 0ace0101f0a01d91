"""The one object that holds state: weights z, acceptance rho, accuracies J, and the random numbers behind the draws."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.cost import CostTotals, step_costs
from mt_grpo_recipe.algorithm.groups import Group
from mt_grpo_recipe.algorithm.objective import owed_after_residual, residual_weights
from mt_grpo_recipe.algorithm.quotas import check_rounding, stratified_counts
from mt_grpo_recipe.algorithm.samplers import Sampler, Step, make_sampler
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig
from mt_grpo_recipe.algorithm.state import STATE_VERSION, StateMismatch, check_state
from mt_grpo_recipe.algorithm.streaks import Streaks
from mt_grpo_recipe.algorithm.task_weights import Signal, make_rule, with_min_share
from mt_grpo_recipe.algorithm.tracked_accuracy import AccuracyTracker
from mt_grpo_recipe.metrics import FAILING_STEPS, GENERATED, OWED, TRAINED_ROLLOUTS, WEIGHT, Metric

__all__ = ["STATE_VERSION", "StateMismatch", "TaskController"]


class TaskController:
    """Decides, step by step, what to sample and how much each task weighs.

    A step is `begin_step` (returns a sampler to run), `observe` (takes in what the sampler brought), then
    `update_weights` once for every improvement measured, and `metrics`.

    Args:
        tasks: names of the K tasks, distinct.
        batch_size: B, prompts per batch.
        config: checked settings.
        carries_over: whether the groups that a step leaves, in flight or informative and not chosen, go to the next
            one. Needs a schedule that can begin with them.
        rows_K: data rows of each task, length K; the rule `proportional` reads them.

    Raises:
        SettingError: a setting does not fit the tasks.
    """

    def __init__(
        self,
        tasks: list[str],
        batch_size: int,
        config: MTGRPOConfig,
        carries_over: bool = False,
        rows_K: Sequence[int] | None = None,
    ):
        self.tasks = list(tasks)
        self.batch_size = batch_size
        self._config = config
        self._carries_over = carries_over
        self._tracked = AccuracyTracker(len(tasks))
        self._rule = make_rule(config.weights, self.tasks, self._tracked, rows_K)
        standing = [self._rule.weights_K] if config.loss_weighting == "task" else self._rule.standing_weights
        shares = [self._as_sampled(with_min_share(weights_K, config.weights.min_share)) for weights_K in standing]
        check_rounding(config.sampler, self.tasks, batch_size, shares)
        self._tracker = AcceptanceTracker(len(tasks), config.sampler.acceptance_decay)
        self._accuracy_K = np.full(len(tasks), math.nan)
        self._rng = np.random.default_rng(np.random.SeedSequence([config.seed, 0]))
        self._steps = 0
        self._owed_K = np.zeros(len(tasks))
        self._totals = CostTotals()
        self._held: list[Group] = []
        self._launched_ahead_K = np.zeros(len(tasks), dtype=np.int64)
        self._forgotten_K = np.zeros(len(tasks), dtype=np.int64)
        self._metrics: dict[str, dict[int, float]] = {}
        self._streaks = Streaks(len(tasks))

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,), after every task has got its least share."""
        return with_min_share(self._rule.weights_K, self._config.weights.min_share)

    @property
    def streaks(self) -> Streaks:
        """Steps in a row in which groups failed, or all were filtered or wrong."""
        return self._streaks

    @property
    def reads(self) -> Signal:
        """What `update_weights` takes."""
        return self._rule.reads

    @property
    def finished(self) -> bool:
        """Whether the run has reached what it was started for and should end."""
        return self._rule.finished

    @property
    def notices(self) -> list[str]:
        """What the latest update of the weights has to tell the user, one sentence each."""
        return self._rule.notices

    @property
    def held(self) -> list[Group]:
        """Groups that the next step begins with, in order of launch: they get the first launch ids."""
        return list(self._held)

    def start(self, accuracy_of: Mapping[str, float]) -> None:
        """Take the accuracies of a validation that samples as training does; ignored once a step has begun.

        Args:
            accuracy_of: by task; tasks that are not trained are ignored.
        """
        if self._steps == 0:
            self._rule.start(np.array([accuracy_of.get(task, math.nan) for task in self.tasks]))

    def begin_step(self) -> Sampler:
        """Draw this step's quotas and return the sampler that fills them."""
        self._steps += 1
        self._metrics = {WEIGHT.key: dict(enumerate(self.weights_K.tolist()))}
        return make_sampler(self._step(self._steps))

    def _step(self, number: int) -> Step:
        settings = self._config.sampler
        return Step(
            weights_K=self._sampled_shares_K,
            tracker=self._tracker,
            settings=replace(settings, ratio=False) if number < settings.ratio_from_step else settings,
            batch_size=self.batch_size,
            rng=self._rng,
            owed_K=self._owed_K,
            number=number,
            broken=self._streaks.broken,
            carried=self.held if self._carries_over else None,
        )

    @property
    def _sampled_shares_K(self) -> FloatArray:
        """Shares that the tasks are sampled by, shape (K,)."""
        return self._as_sampled(self.weights_K)

    def _as_sampled(self, weights_K: FloatArray) -> FloatArray:
        # With loss_weighting=task the tasks are sampled evenly and z acts in the loss alone (Eq. 6).
        return np.full(len(self.tasks), 1 / len(self.tasks)) if self._config.loss_weighting == "task" else weights_K

    def launch_ahead(self, window: int) -> list[int]:
        """Choose what to generate before the next step has drawn its quotas, and hold it.

        Args:
            window: groups to hold, in flight or in stock.

        Returns:
            A task for each group to launch, in launch order. Together with the held groups, the shares come as near as
            possible to z_k m_k, where m_k is the inflation by the tracked share of filtered groups (1 for a broken
            task, or if the next step keeps no ratio).
        """
        count = window - len(self._held)
        if count <= 0:
            return []
        held_K = np.bincount([group.task for group in self._held], minlength=len(self.tasks))
        step = self._step(self._steps + 1)
        wanted_K = step.weights_K * step.inflation_K
        lacking_K = np.maximum(wanted_K / wanted_K.sum() * (held_K.sum() + count) - held_K, 0)
        counts_K = stratified_counts(lacking_K / lacking_K.sum(), count, self._rng)
        tasks = self._rng.permutation(np.repeat(np.arange(len(counts_K)), counts_K)).tolist()
        # They start before the update of the step that has just been chosen.
        self._held += [Group(task, max(self._steps, 1), None) for task in tasks]
        self._launched_ahead_K += counts_K
        return tasks

    def forget(self, positions: Collection[int]) -> None:
        """Drop held groups, named by their positions in `held`: too old, or lost."""
        dropped = [self._held[position].task for position in positions if self._held[position].result is not None]
        self._forgotten_K += np.bincount(np.asarray(dropped, dtype=np.int64), minlength=len(self.tasks))
        self._held = [group for position, group in enumerate(self._held) if position not in positions]

    def observe(self, selection: Selection) -> None:
        """Take in what the step generated, and hold what it leaves for the next."""
        if self._carries_over:
            self._held = selection.left_groups()
        if selection.owed_K is not None:
            self._owed_K = selection.owed_K
            if self._config.loss_weighting == "residual":
                self._owed_K = owed_after_residual(
                    selection.owed_K, selection.target_share_K, selection.chosen_K, self._config.max_loss_weight
                )
            self._put(OWED.key, self._owed_K)
        self._observe_accuracy(selection)
        self._put_all(selection.readings())
        self._put(GENERATED.key, selection.launched_K + self._launched_ahead_K)
        costs = step_costs(selection, self._carries_over, self._forgotten_K)
        for metric, values_K in costs.items():
            self._put(metric.key, values_K)
        self._rule.observe(selection.accuracy_K, costs[TRAINED_ROLLOUTS].astype(np.float64))
        self._forgotten_K = np.zeros_like(self._forgotten_K)
        self._streaks.observe(selection)
        self._put(FAILING_STEPS.key, self._streaks.failing_K)
        self._totals.add(selection)
        self._launched_ahead_K = np.zeros_like(self._launched_ahead_K)

    def _observe_accuracy(self, selection: Selection) -> None:
        """Average J_k twice: as the rule asks for it, and with its uncertainty."""
        new_K, old_K, decay = selection.accuracy_K, self._accuracy_K, self._config.weights.accuracy_decay
        average_K = np.where(np.isnan(old_K), new_K, decay * old_K + (1 - decay) * new_K)
        self._accuracy_K = np.where(np.isnan(new_K), old_K, average_K)
        self._tracked.update(selection.finished_K, selection.correct_K, selection.squares_K)
        self._put_all(self._tracked.readings())

    def update_weights(self, signal_K: FloatArray) -> None:
        """Move z by one update of the rule.

        Args:
            signal_K: what `reads` names, shape (K,); NaN for a task the batch did not hold.

        For a task that the batch did not hold:
        - if every group failed, in this step or in the last one in which any ended, it was not measured and exerts no
          pull on z;
        - if J_k was never seen, likewise;
        - if groups finished and none was informative, or none was launched, I_k = 0, with the J_k last seen.
        """
        measured_K = ~np.isnan(signal_K)
        if self.reads is not Signal.NONE:
            self._put(self.reads.value, signal_K, measured_K)
        failing_K = (self._streaks.failing_K > 0) & ~measured_K
        accuracy_K = np.where(failing_K, math.nan, self._accuracy_K)
        self._rule.update(accuracy_K, np.where(measured_K, signal_K, 0.0))
        self._put_all(self._rule.readings())

    def skip_update(self) -> None:
        """The step trained on nothing: z stays, but a stage of the rule `sequential` is one step older."""
        self._rule.skip()

    def loss_weights_K(self, selection: Selection) -> FloatArray | None:
        """Weight of each task's samples in the policy loss, shape (K,); None where all are one."""
        if self._config.loss_weighting == "residual":
            return residual_weights(selection.target_share_K, selection.chosen_K, self._config.max_loss_weight)
        if self._config.loss_weighting == "task":
            return self.weights_K * len(self.tasks)
        return None

    def _put(self, name: str, values_K: FloatArray | IntArray, where_K: np.ndarray | None = None) -> None:
        tasks = range(len(self.tasks)) if where_K is None else np.flatnonzero(where_K).tolist()
        self._metrics[name] = {task: float(values_K[task]) for task in tasks}

    def _put_all(self, readings: Mapping[Metric, FloatArray]) -> None:
        for metric, values_K in readings.items():
            self._put(metric.key, values_K, ~np.isnan(values_K))

    def metrics(self) -> dict[str, dict[str, float]]:
        """Numbers of the current step: metric name -> task -> value; a task without a value is left out."""
        return {
            name: {self.tasks[task]: value for task, value in by_task.items()}
            for name, by_task in self._metrics.items()
        }

    def totals(self) -> dict[str, float]:
        """Numbers of the current step over all tasks: metric name -> value."""
        return {metric.key: value for metric, value in self._totals.metrics().items()}

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
            "tracked": self._tracked.state_dict(),
            "accuracy": [None if math.isnan(a) else a for a in self._accuracy_K.tolist()],
            "owed": self._owed_K.tolist(),
            "failing_steps": self._streaks.failing_K.tolist(),
            "totals": self._totals.state_dict(),
            "held": [group.state() for group in self._held],
            "launched_ahead": self._launched_ahead_K.tolist(),
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave.

        Raises:
            StateMismatch: the state has another format, or belongs to other tasks, another rule, seed or batch size.
        """
        check_state(state, self.state_dict())
        self._steps = state["steps"]
        self._rule.load_state_dict(state["weights"])
        self._tracker.load_state_dict(state["acceptance"])
        self._tracked.load_state_dict(state["tracked"])
        self._accuracy_K = np.asarray([math.nan if a is None else a for a in state["accuracy"]], dtype=np.float64)
        self._owed_K = np.asarray(state["owed"], dtype=np.float64)
        # Checkpoints of before this was saved count from zero.
        self._streaks.failing_K = np.asarray(state.get("failing_steps", [0] * len(self.tasks)), dtype=np.int64)
        self._totals.load_state_dict(state["totals"])
        if self._carries_over:  # A mode that carries nothing over has no use for held groups.
            self._held = [Group.from_state(group) for group in state["held"]]
            self._launched_ahead_K = np.asarray(state["launched_ahead"], dtype=np.int64)
        self._rng.bit_generator.state = state["rng"]
