"""How a batch that fell short is cut for the updates: into mini-batches of one size, and no more of them than it fills.

verl fills a batch up to whole mini-batches with rows without data, of 128 tokens each. Where a step trains on half of
what it generates, that is as many of them as real rows, and every update pays for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from mt_grpo_recipe.verl_plugin.checks.updates import cuts_fixed_micro_batches
from mt_grpo_recipe.verl_plugin.improvement import data_parallel_ranks
from mt_grpo_recipe.verl_plugin.queue_rows import mini_batches


def updates_of(rows: int, full: int) -> int:
    """The fewest mini-batches of at most `full` rows that hold this many; also in groups, if both are given in them."""
    return max(1, math.ceil(rows / full))


def rows_are_made_a_multiple_of(rows: int, full: int, ranks: int, rollouts: int) -> int:
    """What the rows of a batch are made a multiple of, so that its mini-batches have one size.

    Args:
        rows: of the batch.
        full: rows of a mini-batch, at most; a multiple of `ranks` and of `rollouts`.
        ranks: data-parallel ranks, which share each mini-batch evenly.
        rollouts: rollouts per group; verl states the size of a mini-batch in groups.
    """
    return updates_of(rows, full) * math.lcm(ranks, rollouts)


class EvenUpdates(PPOTrainer):
    """verl's trainer without the rows that fill up the last mini-batch.

    With a critic, or with micro-batches of a fixed number of rows, it fills up as verl does. The losses that are means
    over sequences divide by the rows of the mini-batch as it is.
    """

    def _balance_batch(self, batch: KVBatchMeta, *args: Any, **kwargs: Any) -> KVBatchMeta:
        self._rows = len(batch)
        return super()._balance_batch(batch, *args, **kwargs)

    def _get_required_batch_multiple(self, dp_size: int) -> int:
        if self.use_critic or cuts_fixed_micro_batches(self.config):
            return super()._get_required_batch_multiple(dp_size)
        rollouts = self.config.actor_rollout_ref.rollout.n
        return rows_are_made_a_multiple_of(self._rows, self._full_mini_batch(), dp_size, rollouts)

    def _full_mini_batch(self) -> int:
        """Rows of a mini-batch as verl's config has it."""
        return self.config.actor_rollout_ref.actor.ppo_mini_batch_size * self.config.actor_rollout_ref.rollout.n

    def _mini_batch(self, batch: KVBatchMeta) -> int:
        """Rows of each of this batch's mini-batches."""
        return len(batch) // updates_of(len(batch), self._full_mini_batch())

    def _mini_batches(self, batch: KVBatchMeta) -> list[KVBatchMeta]:
        """The parts of the batch that verl makes an optimiser step of."""
        ranks = data_parallel_ranks(self.actor_rollout_wg)
        return mini_batches(batch, ranks, self._mini_batch(batch) // ranks)

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        with _mini_batch_size(self.config, self._mini_batch(batch) // self.config.actor_rollout_ref.rollout.n):
            return super()._update_actor(batch, metrics)


@contextmanager
def _mini_batch_size(config: DictConfig, groups: int) -> Iterator[None]:
    """Let verl's config say this many groups a mini-batch; the workers are told with each batch."""
    settings = config.actor_rollout_ref.actor
    given = settings.ppo_mini_batch_size
    settings.ppo_mini_batch_size = groups
    try:
        yield
    finally:
        settings.ppo_mini_batch_size = given
