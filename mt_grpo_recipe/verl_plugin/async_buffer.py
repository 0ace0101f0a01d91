"""The buffer of asynchronous training: what is in flight, or good and not chosen, goes to the next mini-batch."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from transfer_queue import KVBatchMeta

from mt_grpo_recipe.algorithm.arrays import IntArray
from mt_grpo_recipe.algorithm.controller import Sampler
from mt_grpo_recipe.algorithm.ratio_sampler import Selection
from mt_grpo_recipe.algorithm.streaming_sampler import Carried
from mt_grpo_recipe.metrics import PREFIX
from mt_grpo_recipe.verl_plugin.queue_rows import PARTITION
from mt_grpo_recipe.verl_plugin.replay_buffer import TaskReplayBuffer, Waiting

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldGroup:
    """A group that waits for a mini-batch."""

    uid: str
    task: int
    kept: bool
    """It has ended and passed the filter; False: it is in flight, or its end has not been seen yet."""
    flat: bool
    """Its rewards are equal though the filter let it through."""


class AsyncTaskReplayBuffer(TaskReplayBuffer):
    """`TaskReplayBuffer` for a trainer whose rollouts never stop.

    A mini-batch is settled as in the streaming sampler: quotas, selection by order of launch, a budget. What differs is
    what comes before and after. It begins with the groups that are held, those in flight and those in stock; nothing
    is waited for once it is settled; and then prompts are launched until `window` groups are held again, so that the
    engines have work while the policy is trained.

    A group launched `max_off_policy_threshold` or more steps ago is never trained on: it is dropped when a step begins.

    Args:
        window: groups to hold, in flight or in stock.
        **kwargs: as for `TaskReplayBuffer`.
    """

    carries_over: ClassVar[bool] = True

    def __init__(self, window: int, **kwargs: Any):
        super().__init__(**kwargs)
        self._window = window
        self._held: list[HeldGroup] = []
        self._abandoned: set[str] = set()
        """Groups that are no longer of use and still run; their rows are cleared when they end."""
        self._launched_ahead: list[int] = []
        """Tasks of the groups launched since the last mini-batch was settled, for the counts of the next."""
        self._stale = 0

    @property
    def _ended(self) -> set[str]:
        return self.finished_keys[PARTITION] | self.failure_keys[PARTITION]

    def _count_K(self, tasks: list[int]) -> IntArray:
        assert self.controller is not None
        return np.bincount(np.asarray(tasks, dtype=np.int64), minlength=len(self.controller.tasks))

    # ------------------------------------------------------------------ one mini-batch

    def _begin_step(self, global_steps: int, waiting: Waiting) -> Sampler:
        self._sync_metadata_from_transfer_queue()
        self._drop_stale(global_steps)
        waiting.add([group.uid for group in self._held], [group.task for group in self._held])
        for launch_id, group in enumerate(self._held):
            if group.kept:
                del waiting.launch_of[group.uid]
                waiting.kept.add(launch_id)
                waiting.told_before.add(launch_id)
            if group.flat:
                waiting.flat.add(launch_id)
        assert self.controller is not None
        return self.controller.begin_step([Carried(group.task, group.kept) for group in self._held])

    def _drop_stale(self, global_steps: int) -> None:
        """Let go of the groups that are too old in this step, by verl's count of steps."""
        threshold = self.max_off_policy_threshold
        launched_at = self.prompt_global_steps[PARTITION]
        stale = {
            group.uid
            for group in self._held
            if threshold is not None and global_steps - launched_at.get(group.uid, global_steps) + 1 > threshold
        }
        self._held = [group for group in self._held if group.uid not in stale]
        self._stale = len(stale)
        self._let_go(stale)

    def _let_go(self, uids: set[str]) -> None:
        """Clear groups that have ended, now or, where they still run, when they have."""
        self._abandoned |= uids
        ended = self._abandoned & self._ended
        self._clear_groups(PARTITION, ended)
        self._abandoned -= ended

    def _select(self, sampler: Sampler) -> Selection:
        selection = sampler.select()
        ahead_K = self._count_K(self._launched_ahead)
        self._launched_ahead = []
        return replace(selection, launched_K=selection.launched_K + ahead_K)

    def _hand_over(self, waiting: Waiting, chosen: list[str]) -> KVBatchMeta:
        """Return the chosen groups, hold what a later mini-batch can use, clear the rest, and launch ahead.

        Rows that no held group has stay untouched: those of earlier mini-batches of the step are still needed.
        """
        chosen_uids, held, useless = set(chosen), [], set()
        for launch_id, (uid, task) in enumerate(zip(waiting.uids, waiting.tasks, strict=True)):
            if uid in chosen_uids:
                continue
            kept = launch_id in waiting.kept
            if kept or uid in waiting.launch_of:
                held.append(HeldGroup(uid, task, kept, launch_id in waiting.flat))
            else:
                useless.add(uid)
        self._held = held
        self._let_go(useless)
        self.launch_ahead()
        return self._batch(chosen)

    def launch_ahead(self) -> None:
        """Launch prompts, by the weights and the filtered shares of now, until `window` groups are held."""
        assert self.controller is not None
        count = self._window - len(self._held)
        if count <= 0:
            return
        tasks = self.controller.look_ahead(self._count_K([group.task for group in self._held]), count)
        uids = self._launch(tasks)
        self._held += [HeldGroup(uid, task, False, False) for uid, task in zip(uids, tasks, strict=True)]
        self._launched_ahead += tasks

    def _metrics(self) -> dict[str, float]:
        """Groups too old to be trained on, and groups that the next mini-batch begins with."""
        return {f"{PREFIX}/stale_groups": self._stale, f"{PREFIX}/held_groups": len(self._held)}

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> list[dict[str, Any]]:
        """The groups held, in order of launch; what they hold is in verl's checkpoint of the queue."""
        return [asdict(group) for group in self._held]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Hold again what `state_dict` gave, as far as the queue was restored, and clear what else is in the queue."""
        self._sync_metadata_from_transfer_queue()
        launched = self.prompt_global_steps[PARTITION]
        self._held = [HeldGroup(**group) for group in state if group["uid"] in launched]
        if len(self._held) < len(state):
            logger.warning(
                "%d of the %d groups that the checkpoint names are not in its transfer_queue folder; other prompts "
                "take their place.",
                len(state) - len(self._held),
                len(state),
            )
        self._clear_groups(PARTITION, self._known() - {group.uid for group in self._held})
