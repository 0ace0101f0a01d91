"""The policy's update: one step of AdamW on the clipped surrogate of a batch, as verl does it for the miniature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from omegaconf import DictConfig
from rollouts import Group
from tokens import log_probs, pad
from transformers import PreTrainedModel

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.objective import (
    Clip,
    advantage_mass,
    clipped_surrogate,
    group_advantages,
    sequence_means,
    task_improvement,
    task_means,
)


@dataclass(frozen=True)
class Batch:
    """The groups of a step; N rollouts, those of a group side by side, T tokens of the longest."""

    groups: list[Group]
    mask_NT: torch.Tensor
    """One on the tokens of the answers, end-of-sequence included."""
    advantages_NT: torch.Tensor
    task_N: list[int]

    @classmethod
    def of(cls, groups: list[Group], tasks: Sequence[str], scale_by_std: bool) -> Batch:
        """Compute the advantages of at least one group; `tasks` are all K, in order."""
        _, mask_NT = pad([answer for group in groups for answer in group.answers_G])
        rewards_N = torch.tensor([reward for group in groups for reward in group.rewards_G])
        sizes = [len(group.answers_G) for group in groups]
        advantages_N = group_advantages(rewards_N, np.repeat(np.arange(len(groups)), sizes), scale_by_std)
        task_N = np.repeat([tasks.index(group.puzzle.task) for group in groups], sizes)
        return cls(groups, mask_NT, advantages_N[:, None] * mask_NT, task_N.tolist())


class Policy:
    """A model and its optimiser.

    Args:
        model: in float32.
        config: verl's whole training config.
        num_tasks: K.
        reduction: `mt_grpo.improvement.reduction`.
    """

    def __init__(self, model: PreTrainedModel, config: DictConfig, num_tasks: int, reduction: str):
        actor = config.actor_rollout_ref.actor
        self.model = model
        self._temperature = config.actor_rollout_ref.rollout.temperature
        self._clip = Clip(actor.clip_ratio_low, actor.clip_ratio_high, actor.clip_ratio_c)
        self._max_norm = actor.optim.clip_grad
        self._num_tasks = num_tasks
        self._reduction = reduction
        self._optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=actor.optim.lr,
            betas=tuple(actor.optim.betas),
            weight_decay=actor.optim.weight_decay,
        )

    def update(self, batch: Batch, loss_weights_K: FloatArray | None) -> tuple[torch.Tensor, dict[str, float]]:
        """Make one update.

        Args:
            batch: sampled from the current policy, so that every ratio is one.
            loss_weights_K: weight of each task's tokens in the loss, shape (K,); None: one everywhere.

        Returns:
            Log-probabilities before the update, shape (N, T), as `_log_probs` gives them, and metrics.
        """
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        now_NT = self._log_probs(batch)
        before_NT = now_NT.detach()
        losses_NT = -clipped_surrogate(now_NT - before_NT, batch.advantages_NT, self._clip) * batch.mask_NT
        if loss_weights_K is not None:
            losses_NT = losses_NT * torch.from_numpy(loss_weights_K[batch.task_N]).float()[:, None]
        loss = losses_NT.sum() / batch.mask_NT.sum()
        if loss.requires_grad:
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._max_norm)
        self._optimizer.step()
        return before_NT, {"actor/pg_loss": loss.item(), "actor/grad_norm": norm.item()}

    @torch.no_grad()
    def improvement_K(self, batch: Batch, before_NT: torch.Tensor) -> FloatArray:
        """I_k of an update, shape (K,); NaN for a task that the batch lacks.

        Args:
            batch: what it was made on.
            before_NT: log-probabilities before it, shape (N, T), as `update` gives them.
        """
        log_ratio_NT = self._log_probs(batch) - before_NT
        return task_improvement(
            log_ratio_NT,
            batch.advantages_NT,
            batch.mask_NT,
            batch.task_N,
            self._num_tasks,
            self._clip,
            self._reduction,
        )

    def mean_absolute_advantage_K(self, batch: Batch) -> FloatArray:
        """Mean over a task's rollouts of the token mean of |A|, shape (K,); NaN for a task that the batch lacks."""
        means_N = sequence_means(batch.advantages_NT.abs(), batch.mask_NT)
        return task_means(means_N.double().numpy(), batch.task_N, self._num_tasks)

    def advantage_mass_K(self, batch: Batch) -> FloatArray:
        """Sum of |A| over the tokens of each task, shape (K,)."""
        return advantage_mass(batch.advantages_NT, batch.mask_NT, batch.task_N, self._num_tasks)

    def _log_probs(self, batch: Batch) -> torch.Tensor:
        """Log-probabilities of the answers, shape (N, T); zero for groups without a gradient, which are not run.

        Their advantages are zero, so that neither loss nor improvement reads them.
        """
        result_NT = torch.zeros(batch.mask_NT.shape)
        live = [group for group in batch.groups if group.has_gradient]
        if not live:
            return result_NT
        answers = [answer for group in live for answer in group.answers_G]
        values = log_probs(self.model, [group.puzzle.prompt for group in live], answers, self._temperature)
        sizes = torch.tensor([len(group.answers_G) for group in batch.groups])
        rows = torch.tensor([group.has_gradient for group in batch.groups]).repeat_interleave(sizes)
        result_NT[rows, : values.shape[1]] = values
        return result_NT
