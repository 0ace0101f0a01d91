"""The task controller in the loop of verl's trainers, and trainer mode `mt_grpo`: their synchronous one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.dataset.rl_dataset import collate_fn
from verl.utils.debug import marked_timer

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.step_metrics import gradient_metrics, step_metrics
from mt_grpo_recipe.algorithm.task_weights import Signal
from mt_grpo_recipe.config import load_config, naming_the_option, validates_as_it_trains
from mt_grpo_recipe.history.record import History
from mt_grpo_recipe.metrics import IMPROVEMENT_SECONDS, STEPS_LEFT, task_slugs
from mt_grpo_recipe.verl_plugin import checks
from mt_grpo_recipe.verl_plugin.advantage import put_session_advantages
from mt_grpo_recipe.verl_plugin.buffer_arguments import verl_buffer_arguments
from mt_grpo_recipe.verl_plugin.checkpoint import read_state, resume_early, resumed_folder, save_unsaved, write_state
from mt_grpo_recipe.verl_plugin.checks.options import warn_of_options_without_effect
from mt_grpo_recipe.verl_plugin.checks.updates import fixed_micro_batch
from mt_grpo_recipe.verl_plugin.defaults import set_defaults, stretch_learning_rate
from mt_grpo_recipe.verl_plugin.even_updates import EvenUpdates, updates_of
from mt_grpo_recipe.verl_plugin.failures import ValidationFailed, give_up_validation, stop_if_nothing_finishes
from mt_grpo_recipe.verl_plugin.improvement import (
    ImprovementPass,
    advantage_mass_of_rows,
    mean_absolute_advantage,
)
from mt_grpo_recipe.verl_plugin.log_lines import show_log_lines
from mt_grpo_recipe.verl_plugin.nodes import check_nodes
from mt_grpo_recipe.verl_plugin.policy_loss import clip_bounds
from mt_grpo_recipe.verl_plugin.queue_rows import put_loss_weights, task_of_rows
from mt_grpo_recipe.verl_plugin.replay_buffer import EmptyBatch, TaskReplayBuffer
from mt_grpo_recipe.verl_plugin.reward_workers import restarting_reward_workers
from mt_grpo_recipe.verl_plugin.run_length import EarlyEnd, steps_of_the_run
from mt_grpo_recipe.verl_plugin.skipped_step import (
    is_skipped,
    put_placeholder,
    rows_with_data,
    skipped_step_metrics,
    trained_rows,
)
from mt_grpo_recipe.verl_plugin.step_log import add_timings, log_notices
from mt_grpo_recipe.verl_plugin.task_data import read_task_data, warn_of_other_validation_data
from mt_grpo_recipe.verl_plugin.task_loader import TaskLoader
from mt_grpo_recipe.verl_plugin.validation import RecordingLoader, accuracy_metrics, task_accuracy

logger = logging.getLogger(__name__)


class TaskTrainer(EvenUpdates):
    """One step: the buffer generates and chooses the batch, verl updates the policy, I_k is measured, z moves.

    Stands before one of verl's trainers in the bases of a trainer mode.

    Args:
        config: verl's training config with the section `mt_grpo`.
    """

    # verl assigns these without types, or with those of its own classes.
    replay_buffer: TaskReplayBuffer  # pyright: ignore[reportIncompatibleVariableOverride]
    train_dataset: Any
    val_dataset: Any
    agent_loop_manager: Any

    def __init__(self, config: DictConfig):
        show_log_lines()
        checks.check_version()
        self.mt_grpo = load_config(config.get("mt_grpo"))
        set_defaults(config)
        warn_of_options_without_effect(config, self.mt_grpo)
        checks.check_training_config(config, self.mt_grpo)
        checks.devices.check_platform(config)
        checks.devices.check_attention(config)
        check_nodes()
        self._early_end = EarlyEnd()
        super().__init__(config)

    def _setup(self) -> None:
        with restarting_reward_workers(self):
            super()._setup()

    # ------------------------------------------------------------------ data

    def _init_dataloader(self) -> None:
        super()._init_dataloader()
        self._data = read_task_data(self.config, self.mt_grpo, self.train_dataset, self.val_dataset)
        rows_of = self._data.rows_of
        self.tasks = list(rows_of)
        self._slugs = task_slugs(self.tasks)
        self.train_dataloader = TaskLoader(
            rows_of, self.train_dataset.__getitem__, collate_fn, self.mt_grpo.seed, self._data.train_digest_of
        )
        self.val_dataloader = RecordingLoader(self.val_dataloader)
        batch_size = self.config.data.train_batch_size // self.parameter_sync_step
        with naming_the_option():
            self.controller = TaskController(
                self.tasks,
                batch_size,
                self.mt_grpo,
                carries_over=self.replay_buffer.carries_over,
                rows_K=[len(rows) for rows in rows_of.values()],
            )
        self.replay_buffer.controller = self.controller
        run, keeps_outcomes = Path(self.config.trainer.default_local_dir), not self.replay_buffer.carries_over
        self._history = History(run, self.controller, self.mt_grpo, keeps_outcomes)
        actor_rollout = self.config.actor_rollout_ref
        clip = clip_bounds(actor_rollout.actor)
        self._improvement = ImprovementPass(
            self.mt_grpo, clip, actor_rollout.rollout.temperature, len(self.tasks), fixed_micro_batch(self.config)
        )
        self.total_training_steps = steps_of_the_run(self.config, sum(map(len, rows_of.values())))
        actor_rollout.actor.optim.total_training_steps = self.total_training_steps * self.parameter_sync_step
        # Keep verl's loop from ending at an epoch: a task sampler has none.
        self.steps_per_epoch = max(self.steps_per_epoch, self.total_training_steps, 1)
        if self.mt_grpo.improvement.granularity == "mini_batch":
            full = actor_rollout.actor.ppo_mini_batch_size
            stretch_learning_rate(self.config, updates_of(self.config.data.train_batch_size, full))
        logger.info("Tasks and rows: %s", {task: len(rows) for task, rows in rows_of.items()})
        if folder := resumed_folder(self.config):
            resume_early(folder, self.controller, self.train_dataloader)

    def _launch(self, tasks: list[int]) -> list[str]:
        """Submit one prompt of each task, in this order, and return their uids."""
        self.train_dataloader.request(tasks)
        self._add_prompts_to_generate(len(tasks))
        return self._launched_uids

    def _abort(self, uids: list[str]) -> None:
        """Stop the rollouts of these groups; they end as failed."""
        self.agent_loop_manager.abort(uids)

    def _submit_batch_to_rollout(self, batch: TensorDict) -> int:
        self._launched_uids = [str(uid) for uid in batch["uid"]]
        return super()._submit_batch_to_rollout(batch)

    # ------------------------------------------------------------------ one step

    def prepare_step(self) -> dict:
        """Launch nothing yet: the buffer asks for prompts once the step's quotas are drawn."""
        return {}

    def _step_once(self, metrics: dict, timing_raw: dict, sample_batch_size: int) -> KVBatchMeta:
        self._step_weights_K = self.controller.weights_K
        try:
            batch = super()._step_once(metrics, timing_raw, sample_batch_size)
        except EmptyBatch:
            logger.error(
                "Step %d is skipped: after its whole budget no group is informative. The policy is left as it is.",
                self.global_steps,
            )
            self.on_sample_end()
            self.controller.skip_update()
            batch = self._placeholder()
        record = self.replay_buffer.record
        metrics.update(step_metrics(self.controller, record.selection, self._slugs, is_skipped(batch)))
        add_timings(timing_raw, record)
        self._record_step()
        log_notices(self.global_steps, self.controller)
        self.total_training_steps = self._early_end.check(self.global_steps, self.total_training_steps, self.controller)
        metrics[STEPS_LEFT.name] = self.total_training_steps - self.global_steps
        stop_if_nothing_finishes(self.global_steps, self.controller, record.errors, lambda: save_unsaved(self))
        return batch

    def _placeholder(self) -> KVBatchMeta:
        """The batch of an update that is skipped."""
        return put_placeholder(self.global_steps, self.local_trigger_step)

    def _record_step(self) -> None:
        record, rows = self.replay_buffer.record, self.train_dataloader.given
        self._history.append(self.global_steps, self._step_weights_K, record.selection, record.timeline, rows)
        rows.clear()

    def _task_of_rows(self, batch: KVBatchMeta) -> dict[str, int]:
        """Key -> task of the batch's rows that are not verl's padding."""
        return task_of_rows(batch, self.replay_buffer.task_of)

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        batch = super()._compute_advantage(batch, metrics)
        batch = put_session_advantages(batch, self.config.algorithm)
        task_of_row = self._task_of_rows(batch)
        weights_K = self.controller.loss_weights_K(self.replay_buffer.record.selection)
        mass_K = advantage_mass_of_rows(task_of_row, len(self.tasks), self.config.actor_rollout_ref.actor.loss_agg_mode)
        metrics.update(gradient_metrics(mass_K, weights_K, list(self._slugs.values())))
        return batch if weights_K is None else put_loss_weights(batch, task_of_row, weights_K)

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        if self.mt_grpo.improvement.granularity != "mini_batch":
            batch = super()._update_actor(batch, metrics)
            self._move_weights(batch)
            return batch
        updates = []
        for part in self._mini_batches(batch):
            updates.append({})
            super()._update_actor(part, updates[-1])
            self._move_weights(part)
        metrics.update({name: float(np.mean([update[name] for update in updates])) for name in updates[0]})
        return batch

    def _move_weights(self, batch: KVBatchMeta) -> None:
        self.controller.update_weights(self._measure_signal(batch))

    def _measure_signal(self, batch: KVBatchMeta) -> FloatArray:
        """What the rule of the weights reads of the update that was just made, shape (K,); NaN where there is none."""
        if self.controller.reads is Signal.IMPROVEMENT:
            with marked_timer(IMPROVEMENT_SECONDS.key, self.timing_raw, color="olive"):
                task_of_row = self._task_of_rows(batch)
                return self._improvement.measure(self.actor_rollout_wg, batch, task_of_row, self.global_steps)
        if self.controller.reads is Signal.ADVANTAGE:
            return mean_absolute_advantage(self._task_of_rows(batch), len(self.tasks))
        return np.full(len(self.tasks), np.nan)

    def _compute_metrics(
        self, batch: KVBatchMeta, metrics: dict, timing_raw: dict, global_steps: int, epoch: int
    ) -> None:
        batch = trained_rows(batch)
        if is_skipped(batch):
            metrics.update(skipped_step_metrics(global_steps, timing_raw))
        else:
            super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)

    def _log_rollout_data(self, batch: KVBatchMeta, timing_raw: dict, rollout_data_dir: str) -> None:
        batch = rows_with_data(batch)
        if batch.keys:
            super()._log_rollout_data(batch, timing_raw, rollout_data_dir)

    def _validate(self) -> dict[str, float]:
        try:
            return super()._validate()
        except ValidationFailed as failure:
            give_up_validation(failure, self.replay_buffer.has_sampled)
            self.replay_buffer.take_validated()
            return {}

    def _val_metrics_update(self, *args: Any, expected_acc_counts: Any, **kwargs: Any) -> dict:
        metrics = super()._val_metrics_update(*args, expected_acc_counts=expected_acc_counts, **kwargs)
        rollouts_of = {uid: count for (_, uid), count in expected_acc_counts.items()}
        accuracies_of = self.replay_buffer.take_validated()
        validated = task_accuracy(self.val_dataloader.batches, accuracies_of, rollouts_of, self.mt_grpo.task_key)
        if validates_as_it_trains(self.config.actor_rollout_ref.rollout):
            self.controller.start(validated.start_of)
        return metrics | accuracy_metrics(validated.accuracy_of, self.tasks)

    # ------------------------------------------------------------------ checkpoints

    def _save_checkpoint(self) -> None:
        # Before verl's own files: it names the checkpoint as the latest only when everything is written.
        folder = Path(self.config.trainer.default_local_dir) / f"global_step_{self.global_steps}"
        write_state(folder, self._state())
        super()._save_checkpoint()

    def _load_checkpoint(self) -> None:
        folder = resumed_folder(self.config)
        super()._load_checkpoint()
        if folder:
            self._load_state(read_state(folder))
        if not self.config.trainer.get("val_only", False):  # An evaluation adds no step, so it must take none away.
            self._history.resume(self.global_steps)

    def _state(self) -> dict[str, Any]:
        """What is to survive a kill, beside what verl saves."""
        return {
            **self.controller.state_dict(),
            "validation_digests": self._data.validation_digest_of,
            "last_step": self._early_end.state(),
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        self.controller.load_state_dict(state)
        warn_of_other_validation_data(state["validation_digests"], self._data.validation_digest_of)
        self.total_training_steps = self._early_end.load(state["last_step"], self.total_training_steps, self.controller)


@register_trainer("mt_grpo")
class MTGRPOTrainer(TaskTrainer, PPOTrainerSync):
    """verl's synchronous trainer with the task controller in its loop.

    Args:
        config: verl's training config with the section `mt_grpo`.
    """

    def __init__(self, config: DictConfig):
        super().__init__(config)
        # verl asks in several places whether the mode is "sync", and this one is: no prompt outlives its step.
        self.trainer_mode = "sync"

    def _build_replay_buffer(self) -> TaskReplayBuffer:
        given = verl_buffer_arguments(self.config, "sync", self._add_prompts_to_generate)
        return TaskReplayBuffer(self._launch, self._abort, self.mt_grpo, **given)
