"""The buffer of asynchronous training: groups in flight, or informative and not chosen, go to the next mini-batch."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from transfer_queue import KVBatchMeta

from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.metrics import HELD_GROUPS, STALE_GROUPS
from mt_grpo_recipe.verl_plugin.queue_rows import PARTITION
from mt_grpo_recipe.verl_plugin.replay_buffer import Launches, TaskReplayBuffer

logger = logging.getLogger(__name__)


class AsyncTaskReplayBuffer(TaskReplayBuffer):
    """`TaskReplayBuffer` for a trainer whose rollouts never stop.

    A mini-batch is settled as in the streaming sampler: quotas, selection by order of launch, a budget. What differs is
    what comes before and after. It begins with the groups that are held, in flight or in stock; it waits for nothing
    once it is settled; and then prompts are launched until `window` groups are held again, so that the engines have
    work while the policy is trained.

    A group launched `max_off_policy_threshold` or more steps ago is never trained on: it is dropped when a step begins.

    Args:
        window: groups to hold, in flight or in stock.
        **kwargs: as for `TaskReplayBuffer`.
    """

    carries_over: ClassVar[bool] = True

    def __init__(self, window: int, **kwargs: Any):
        super().__init__(**kwargs)
        self._window = window
        self._held: list[str] = []
        """Uids of the groups that the controller holds, in the same order."""
        self._abandoned: set[str] = set()
        """Groups that are of no more use but still run; their rows are cleared when they end."""
        self._stale = 0

    # ------------------------------------------------------------------ one mini-batch

    def _begin_step(self, global_steps: int) -> Launches:
        self._sync_metadata_from_transfer_queue()
        self._drop_stale(global_steps)
        held = zip(self._held, self.controller.held, strict=True)
        return Launches(self._held, waiting=[uid for uid, group in held if group.result is None])

    def _drop_stale(self, global_steps: int) -> None:
        """Let go of the groups that are too old for this step, by verl's count of steps."""
        threshold = self.max_off_policy_threshold
        launched_at = self.prompt_global_steps[PARTITION]
        stale = {
            uid
            for uid in self._held
            if threshold is not None and global_steps - launched_at.get(uid, global_steps) + 1 > threshold
        }
        self._keep(set(self._held) - stale)
        self._stale = len(stale)
        self._let_go(stale)

    def _keep(self, uids: set[str]) -> None:
        """From now on, hold these groups only."""
        self.controller.forget({position for position, uid in enumerate(self._held) if uid not in uids})
        self._held = [uid for uid in self._held if uid in uids]

    def _let_go(self, uids: set[str]) -> None:
        """Clear these groups: now, or once they have ended."""
        self._abandoned |= uids
        ended = self._abandoned & (self.finished_keys[PARTITION] | self.failure_keys[PARTITION])
        self._clear_groups(PARTITION, ended)
        self._abandoned -= ended

    def _hand_over(self, selection: Selection) -> KVBatchMeta:
        """Return the chosen groups, hold what a later mini-batch can use, clear the rest, and launch ahead.

        Other rows stay untouched: those of earlier mini-batches of the step are still needed.
        """
        uids = self._launches.uids
        chosen = [uids[launch_id] for launch_id in selection.launch_ids]
        self._held = [uids[launch_id] for launch_id in selection.left]
        self._let_go(set(uids) - set(chosen) - set(self._held) - self._launches.cleared)
        self.launch_ahead()
        return self._batch(chosen)

    def launch_ahead(self) -> None:
        """Launch prompts, by the current weights and filtered shares, until `window` groups are held."""
        tasks = self.controller.launch_ahead(self._window)
        if tasks:
            self._held += self._launch(tasks)

    def _metrics(self) -> dict[str, float]:
        """Groups too old to be trained on, and groups that the next mini-batch begins with."""
        return {STALE_GROUPS.name: self._stale, HELD_GROUPS.name: len(self._held)}

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> list[str]:
        """Uids of the groups held, in order of launch; what they hold is in verl's checkpoint of the queue."""
        return list(self._held)

    def load_state_dict(self, state: list[str]) -> None:
        """Hold again what `state_dict` gave, as far as the queue was restored, and clear the rest of the queue.

        The controller's state must be restored first: it knows these groups' tasks and results.
        """
        self._sync_metadata_from_transfer_queue()
        launched = self.prompt_global_steps[PARTITION].keys()
        self._held = list(state)
        self._keep(set(launched))
        if len(self._held) < len(state):
            logger.warning(
                "%d of the %d groups that the checkpoint names are not in its transfer_queue folder; other prompts "
                "take their place.",
                len(state) - len(self._held),
                len(state),
            )
        self._clear_groups(PARTITION, self._known() - set(self._held))
