"""Trainer mode `mt_grpo_async`: the task controller in the loop of verl's trainer with rollout engines of its own."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import trainer_separate_async
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_separate_async import PPOTrainerSeparateAsync

from mt_grpo_recipe.metrics import is_step_metric
from mt_grpo_recipe.verl_plugin.async_buffer import AsyncTaskReplayBuffer
from mt_grpo_recipe.verl_plugin.buffer_arguments import verl_buffer_arguments
from mt_grpo_recipe.verl_plugin.step_log import joined
from mt_grpo_recipe.verl_plugin.trainer import TaskTrainer


@contextmanager
def _without_info(logger: logging.Logger) -> Iterator[None]:
    """Suppress a logger's INFO messages."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@register_trainer("mt_grpo_async")
class MTGRPOAsyncTrainer(TaskTrainer, PPOTrainerSeparateAsync):
    """Rollouts and training side by side; the engines take new weights every `parameter_sync_step` mini-batches.

    A mini-batch is one step of the controller: it has quotas of its own, one update of the policy, one measurement of
    I_k, one move of z. So z moves with every update of the policy, as in Subroutine 1; the next mini-batch is drawn
    with it; and the shares are exact in every mini-batch rather than in their sum.

    I_k is the change of the clipped surrogate since the weights that verl's old log-probabilities belong to: those of
    the last weight sync. With `parameter_sync_step=1` that is the update itself; with more, the second mini-batch's I_k
    includes the first one's update, as with `improvement.granularity=mini_batch` in the synchronous mode.

    Args:
        config: verl's training config with the section `mt_grpo`.
    """

    replay_buffer: AsyncTaskReplayBuffer

    def __init__(self, config: DictConfig):
        super().__init__(config)
        # verl finds its settings under the name of the mode, and the rest of verl knows only its own names.
        self.trainer_mode = "separate_async"
        self.parameter_sync_step = config.trainer.v1.separate_async.parameter_sync_step
        self._restored: list[str] = []
        self._update_metrics: list[dict[str, float]] = []

    def _build_replay_buffer(self) -> AsyncTaskReplayBuffer:
        batches = self.config.trainer.v1.separate_async.num_warmup_batches
        window = math.floor(batches * self.config.data.train_batch_size)
        return AsyncTaskReplayBuffer(
            window=window,
            launch=self._launch,
            abort=self._abort,
            config=self.mt_grpo,
            **verl_buffer_arguments(self.config, "separate_async", self._add_prompts_to_generate),
        )

    def _setup(self) -> None:
        # With hybrid_engine=False verl 0.9.1 logs an INFO message with an argument meant for `print`, which raises.
        with _without_info(trainer_separate_async.logger):
            super()._setup()

    def on_train_begin(self) -> None:
        """Fill the window; verl has just launched again what a checkpoint had in flight."""
        self.replay_buffer.load_state_dict(self._restored)
        self.replay_buffer.launch_ahead()

    # ------------------------------------------------------------------ one step

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        """Train the mini-batches between two weight syncs; the controller's metrics are joined over them."""
        self._update_metrics.clear()
        batch = super().step(metrics, timing_raw)
        # verl's own aggregation goes by words in a metric's name, and takes "countdown-mini" for a minimum.
        metrics.update(joined(self._update_metrics))
        return batch

    def _step_once(self, metrics: dict, timing_raw: dict, sample_batch_size: int) -> KVBatchMeta:
        batch = super()._step_once(metrics, timing_raw, sample_batch_size)
        self._update_metrics.append({name: value for name, value in metrics.items() if is_step_metric(name)})
        return batch

    def _placeholder(self) -> KVBatchMeta:
        if self.local_trigger_step == 0:
            # The mini-batches that follow take their old log-probabilities from the weights that verl saves with the
            # first one of a step.
            self.actor_rollout_wg.save_model_to_cpu(0)
        return super()._placeholder()

    # ------------------------------------------------------------------ checkpoints

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "held_uids": self.replay_buffer.state_dict()}

    def _load_state(self, state: dict[str, Any]) -> None:
        super()._load_state(state)
        # A checkpoint of mode mt_grpo holds no groups.
        self._restored = state.get("held_uids", [])
