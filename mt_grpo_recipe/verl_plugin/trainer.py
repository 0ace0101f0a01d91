"""The task controller in the loop of verl's trainers, and trainer mode `mt_grpo`: their synchronous one."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from omegaconf import DictConfig
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import PPOTrainer, register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.dataset.rl_dataset import collate_fn
from verl.utils.debug import marked_timer
from verl.workers.utils.padding import response_from_nested

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.objective import probe_rows, sequence_means, task_improvement, task_means
from mt_grpo_recipe.algorithm.task_weights import Signal
from mt_grpo_recipe.config import load_config, naming_the_option
from mt_grpo_recipe.metrics import (
    AVERAGE_ACCURACY,
    DECIDE_SECONDS,
    FAILED_GROUPS,
    IMPROVEMENT_SECONDS,
    LOSS_WEIGHT,
    POLL_SECONDS,
    ROUNDS,
    SKIPPED_UPDATE,
    TASK_ACCURACY,
    TASK_METRICS,
    WORST_TASK_ACCURACY,
    task_slugs,
)
from mt_grpo_recipe.verl_plugin import checks
from mt_grpo_recipe.verl_plugin.checkpoint import DecisionLog, mend_marker, read_state, write_state
from mt_grpo_recipe.verl_plugin.defaults import set_defaults
from mt_grpo_recipe.verl_plugin.log_lines import show_log_lines
from mt_grpo_recipe.verl_plugin.nodes import check_nodes
from mt_grpo_recipe.verl_plugin.policy_loss import clip_bounds
from mt_grpo_recipe.verl_plugin.replay_buffer import PARTITION, EmptyBatch, StepRecord, TaskReplayBuffer, uid_of_key
from mt_grpo_recipe.verl_plugin.task_loader import RecordingLoader, TaskLoader, group_rows, task_name

logger = logging.getLogger(__name__)
SKIPPED = "mt_grpo_skipped"
"""Tag of the row that stands for an update that was skipped."""


def _fetch(keys: list[str], *fields: str) -> Any:
    """Fields of training rows, as nested tensors of shape (N, T*); a field that no row has is left out."""
    return tq.kv_batch_get(keys=keys, partition_id=PARTITION, select_fields=list(fields))


def _is_skipped(batch: KVBatchMeta) -> bool:
    """Whether the step trained on nothing: of a real batch only the rows that fill up a mini-batch are padding."""
    return all(tag.get("is_padding", False) for tag in batch.tags)


def _trained_rows(batch: KVBatchMeta) -> KVBatchMeta:
    """The batch without the rows that stand for a skipped update and hold nothing."""
    rows = [row for row, tag in enumerate(batch.tags) if not tag.get(SKIPPED, False)]
    return _take_rows(batch, rows)


def _take_rows(batch: KVBatchMeta, rows: Sequence[int] | IntArray) -> KVBatchMeta:
    return KVBatchMeta(
        partition_id=batch.partition_id,
        keys=[batch.keys[row] for row in rows],
        tags=[batch.tags[row] for row in rows],
    )


class TaskTrainer(PPOTrainer):
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
        checks.check_training_config(config, self.mt_grpo)
        check_nodes()
        super().__init__(config)

    # ------------------------------------------------------------------ data

    def _buffer_arguments(self, verl_mode: str) -> dict[str, Any]:
        """What the buffer of a trainer that does as verl's mode of this name is built with."""
        sampler = self.config.trainer.v1.sampler
        return {
            "launch": self._launch,
            "abort": self._abort,
            "config": self.mt_grpo.sampler,
            "trainer_mode": verl_mode,
            "trainer_config": self.config.trainer.v1.get(verl_mode, {}),
            "max_off_policy_threshold": sampler.max_off_policy_threshold,
            "max_off_policy_strategy": sampler.max_off_policy_strategy,
            "sampler_kwargs": sampler.sampler_kwargs,
            "refill_fn": self._add_prompts_to_generate,
        }

    def _init_dataloader(self) -> None:
        super()._init_dataloader()
        key = self.mt_grpo.task_key
        columns = sorted({path.split(".")[0] for path in key})
        table = self.train_dataset.dataframe
        table = table.select_columns([column for column in columns if column in table.column_names])
        rows_of = group_rows([task_name(row, key) for row in table], self.mt_grpo.tasks)
        data_sources = [
            source
            for dataset in (self.train_dataset, self.val_dataset)
            for source in dataset.dataframe.unique(self.config.data.reward_fn_key)
        ]
        checks.check_data(self.config, sum(map(len, rows_of.values())), data_sources)

        self.tasks = list(rows_of)
        self._slugs = task_slugs(self.tasks)
        self.train_dataloader = TaskLoader(rows_of, self.train_dataset.__getitem__, collate_fn, self.mt_grpo.seed)
        self.val_dataloader = RecordingLoader(self.val_dataloader)
        batch_size = self.config.data.train_batch_size // self.parameter_sync_step
        with naming_the_option():
            self.controller = TaskController(
                self.tasks, batch_size, self.mt_grpo, carries_over=self.replay_buffer.carries_over
            )
        self.replay_buffer.controller = self.controller
        self._run_all_steps()
        logger.info("Tasks and rows: %s", {task: len(rows) for task, rows in rows_of.items()})

    def _run_all_steps(self) -> None:
        """Keep verl's loop from ending at an epoch: a task sampler has none."""
        if self.config.trainer.total_training_steps is None:
            logger.warning(
                "trainer.total_epochs=%s means %d steps here, counted as rows over batch size; a task sampler does not "
                "go through the data in epochs. Set trainer.total_training_steps to say how long to train.",
                self.config.trainer.total_epochs,
                self.total_training_steps,
            )
        self.steps_per_epoch = max(self.steps_per_epoch, self.total_training_steps, 1)

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
                "Step %d is skipped: after its whole budget no group carries a gradient. The policy is left as it is.",
                self.global_steps,
            )
            self.on_sample_end()
            batch = self._placeholder()
        metrics.update(self._task_metrics(skipped=_is_skipped(batch)))
        self._log_decision()
        for metric, seconds in ((DECIDE_SECONDS, self._record.decide_s), (POLL_SECONDS, self._record.poll_s)):
            timing_raw[metric.key] = timing_raw.get(metric.key, 0.0) + seconds
        return batch

    def _log_decision(self) -> None:
        selection = self._record.selection
        decision = {
            "weights": self._step_weights_K.tolist(),
            "quota": selection.quota_K.tolist(),
            "rows": self.train_dataloader.given,
            "chosen": selection.launch_ids,
        }
        DecisionLog(Path(self.config.trainer.default_local_dir)).append(self.global_steps, decision)
        self.train_dataloader.given.clear()

    def _placeholder(self) -> KVBatchMeta:
        """A batch of one row without data: verl clears the rows of a step, and the queue refuses to clear none."""
        key, tag = f"skipped{self.global_steps}.{self.local_trigger_step}", {"is_padding": True, SKIPPED: True}
        tq.kv_put(key=key, partition_id=PARTITION, tag=tag)
        return KVBatchMeta(partition_id=PARTITION, keys=[key], tags=[tag])

    @property
    def _record(self) -> StepRecord:
        """What the sampler did in this step."""
        return self.replay_buffer.record

    def _task_metrics(self, skipped: bool) -> dict[str, float]:
        metrics = {
            TASK_METRICS[name].of(self._slugs[task]): value
            for name, by_task in self.controller.metrics().items()
            for task, value in by_task.items()
        }
        selection = self._record.selection
        metrics[ROUNDS.name] = selection.rounds
        metrics[FAILED_GROUPS.name] = int(selection.failed_K.sum())
        metrics[SKIPPED_UPDATE.name] = float(skipped)
        return metrics

    def _task_of_row(self, key: str) -> int | None:
        """Task of a trajectory, or None for verl's padding rows."""
        return self.replay_buffer.task_of(uid_of_key(key))

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        batch = super()._compute_advantage(batch, metrics)
        weights_K = self.controller.loss_weights_K(self._record.selection)
        if weights_K is None:
            return batch
        for task, weight in zip(self.tasks, weights_K.tolist(), strict=True):
            metrics[LOSS_WEIGHT.of(self._slugs[task])] = weight
        data = _fetch(batch.keys, "advantages", "rollout_is_weights")
        lengths = data["advantages"].offsets().diff()
        row_weights = [1.0 if (task := self._task_of_row(key)) is None else weights_K[task] for key in batch.keys]
        values = torch.tensor(row_weights, dtype=torch.float32).repeat_interleave(lengths)
        if "rollout_is_weights" in data:
            values = values * data["rollout_is_weights"].values()
        weights = torch.nested.nested_tensor_from_jagged(values, data["advantages"].offsets())
        output = TensorDict({"rollout_is_weights": weights}, batch_size=len(batch))
        return tq.kv_batch_put(keys=batch.keys, partition_id=PARTITION, fields=output)

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

    def _mini_batches(self, batch: KVBatchMeta) -> list[KVBatchMeta]:
        """The mini-batches that verl would make of this batch: a slice of every data-parallel rank's share."""
        actor = self.config.actor_rollout_ref.actor
        ranks = max(self.actor_rollout_wg._dispatch_info["actor"]) + 1
        size = actor.ppo_mini_batch_size * self.config.actor_rollout_ref.rollout.n // ranks
        shares = np.arange(len(batch)).reshape(ranks, -1)
        return [
            _take_rows(batch, shares[:, start : start + size].reshape(-1)) for start in range(0, shares.shape[1], size)
        ]

    def _move_weights(self, batch: KVBatchMeta) -> None:
        signal_K = np.full(len(self.tasks), np.nan)
        if self.controller.reads is Signal.IMPROVEMENT:
            with marked_timer(IMPROVEMENT_SECONDS.key, self.timing_raw, color="olive"):
                signal_K = self._measure_improvement(batch)
        elif self.controller.reads is Signal.ADVANTAGE:
            signal_K = self._mean_absolute_advantage(batch)
        self.controller.update_weights(signal_K)

    def _task_of_rows(self, batch: KVBatchMeta) -> dict[str, int]:
        """Task of each row of the batch that is not verl's padding."""
        return {key: task for key in batch.keys if (task := self._task_of_row(key)) is not None}

    def _mean_absolute_advantage(self, batch: KVBatchMeta) -> FloatArray:
        """Mean over a task's samples of the token mean of |A|, shape (K,); NaN for a task without samples."""
        task_of_key = self._task_of_rows(batch)
        data = _fetch(list(task_of_key), "advantages", "response_mask")
        mask_NT = data["response_mask"].to_padded_tensor(0)
        means_N = sequence_means(data["advantages"].to_padded_tensor(0.0).abs(), mask_NT)
        return task_means(means_N.double().numpy(), list(task_of_key.values()), len(self.tasks))

    def _probe(self, batch: KVBatchMeta) -> KVBatchMeta:
        """The part of the batch on which I_k is measured."""
        fraction = self.mt_grpo.improvement.probe_fraction
        if fraction == 1:
            return batch
        # A generator of its own for every step: nothing to save, and a resumed run draws the same.
        rng = np.random.default_rng([self.mt_grpo.seed, 2, self.global_steps])
        tasks = [-1 if (task := self._task_of_row(key)) is None else task for key in batch.keys]
        ranks = max(self.actor_rollout_wg._dispatch_info["actor"]) + 1
        return _take_rows(batch, probe_rows(tasks, fraction, ranks, rng))

    def _measure_improvement(self, batch: KVBatchMeta) -> FloatArray:
        """I_k of the update that was just made on this batch, shape (K,)."""
        batch = self._probe(batch)
        request = KVBatchMeta(
            partition_id=batch.partition_id,
            keys=batch.keys,
            tags=batch.tags,
            extra_info={
                "calculate_entropy": False,
                "compute_loss": False,
                "temperature": self.config.actor_rollout_ref.rollout.temperature,
            },
        )
        self.actor_rollout_wg.compute_log_prob(request)
        task_of_key = self._task_of_rows(batch)
        data = _fetch(list(task_of_key), "log_probs", "old_log_probs", "advantages", "response_mask")
        after = response_from_nested(data["log_probs"], data["response_mask"]).to_padded_tensor(0.0)
        clip_low, clip_high, dual_clip = clip_bounds(self.config.actor_rollout_ref.actor)
        return task_improvement(
            log_ratio_NT=after - data["old_log_probs"].to_padded_tensor(0.0),
            advantages_NT=data["advantages"].to_padded_tensor(0.0),
            mask_NT=data["response_mask"].to_padded_tensor(0),
            task_N=list(task_of_key.values()),
            num_tasks=len(self.tasks),
            clip_low=clip_low,
            clip_high=clip_high,
            dual_clip=dual_clip,
            reduction=self.mt_grpo.improvement.reduction,
        )

    def _compute_metrics(
        self, batch: KVBatchMeta, metrics: dict, timing_raw: dict, global_steps: int, epoch: int
    ) -> None:
        batch = _trained_rows(batch)
        if not _is_skipped(batch):
            super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
            return
        metrics["training/global_step"] = global_steps
        metrics.update({f"timing_s/{name}": value for name, value in timing_raw.items()})

    def _log_rollout_data(self, batch: KVBatchMeta, timing_raw: dict, rollout_data_dir: str) -> None:
        batch = _trained_rows(batch)
        if not _is_skipped(batch):
            super()._log_rollout_data(batch, timing_raw, rollout_data_dir)

    # ------------------------------------------------------------------ validation

    def _val_metrics_update(
        self, data_sources: Any, sample_uids: Any, reward_extra_infos_dict: Any, *args: Any, **kwargs: Any
    ) -> dict:
        metrics = super()._val_metrics_update(data_sources, sample_uids, reward_extra_infos_dict, *args, **kwargs)
        accuracy_of = self._validation_accuracy(sample_uids, reward_extra_infos_dict["acc"])
        slugs = self._slugs | task_slugs([task for task in accuracy_of if task not in self._slugs])
        metrics.update({TASK_ACCURACY.of(slugs[task]): accuracy for task, accuracy in accuracy_of.items()})
        trained = [accuracy_of[task] for task in self.tasks if task in accuracy_of]
        if trained:
            metrics[WORST_TASK_ACCURACY.name] = min(trained)
            metrics[AVERAGE_ACCURACY.name] = float(np.mean(trained))
        return metrics

    def _validation_accuracy(self, uids: list[str], accuracies: list[float]) -> dict[str, float]:
        """Mean accuracy over all samples of each task of the validation data."""
        task_of_uid: dict[str, str] = {}
        for batch in self.val_dataloader.batches:
            for row, uid in enumerate(batch["uid"]):
                fields = {name: column[row] for name, column in batch.items()}
                task_of_uid[uid] = task_name(fields, self.mt_grpo.task_key)
        samples: dict[str, list[float]] = {}
        for uid, accuracy in zip(uids, accuracies, strict=True):
            samples.setdefault(task_of_uid[uid], []).append(float(accuracy))
        return {task: float(np.mean(values)) for task, values in samples.items()}

    # ------------------------------------------------------------------ checkpoints

    def _checkpoint_folder(self) -> Path:
        trainer = self.config.trainer
        if trainer.resume_mode == "resume_path":
            return Path(os.getcwd()) / trainer.resume_from_path
        return Path(os.getcwd()) / trainer.default_local_dir / f"global_step_{self.global_steps}"

    def _save_checkpoint(self) -> None:
        # Before verl's own files: it names the checkpoint as the latest only when everything is written.
        folder = Path(self.config.trainer.default_local_dir) / f"global_step_{self.global_steps}"
        write_state(folder, self._state())
        super()._save_checkpoint()

    def _load_checkpoint(self) -> None:
        folder = Path(self.config.trainer.default_local_dir)
        if self.config.trainer.resume_mode == "auto":
            mend_marker(folder)
        super()._load_checkpoint()
        if self.global_steps > 0:
            self._load_state(read_state(self._checkpoint_folder()))
        DecisionLog(folder).rewind(self.global_steps)

    def _state(self) -> dict[str, Any]:
        """What is to survive a kill, beside what verl saves."""
        return self.controller.state_dict()

    def _load_state(self, state: dict[str, Any]) -> None:
        self.controller.load_state_dict(state)


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
        return TaskReplayBuffer(**self._buffer_arguments("sync"))
