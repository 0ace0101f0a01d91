"""The sampler that no other can beat: it knows what will come of each group before it launches any."""

from __future__ import annotations

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.groups import GroupLedger, GroupResult
from mt_grpo_recipe.algorithm.quotas import draw_quotas
from mt_grpo_recipe.algorithm.selection import Selection, select_groups
from mt_grpo_recipe.algorithm.settings import BatchSettings
from mt_grpo_recipe.simulator.world import Groups


class Oracle:
    """Knows what will come of each group: launches at once as many of each task's groups as it takes to fill n_k.

    Args:
        groups: by task; it looks at as many of each as the settings' budget allows.
        Others: as for the samplers.
    """

    def __init__(
        self,
        weights_K: FloatArray,
        config: BatchSettings,
        batch_size: int,
        rng: np.random.Generator,
        groups: list[Groups],
    ):
        self.quota_K = draw_quotas(weights_K, batch_size, config.quota, rng)
        self._batch_size = batch_size
        self._ledger = GroupLedger(len(weights_K))
        counts = [
            self._needed(task_groups, places, config.budget(batch_size))
            for task_groups, places in zip(groups, self.quota_K.tolist(), strict=True)
        ]
        self._launches = rng.permutation(np.repeat(np.arange(len(counts)), counts)).tolist()
        self._asked = False

    @staticmethod
    def _needed(groups: Groups, places: int, budget: int) -> int:
        kept = needed = 0
        for index in range(budget if places else 0):
            if groups[index][0]:
                kept, needed = kept + 1, index + 1
            if kept == places:
                break
        return needed

    @property
    def in_flight(self) -> int:
        """Groups launched whose result was not told yet."""
        return self._ledger.in_flight

    @property
    def done(self) -> bool:
        """Everything launched has ended."""
        return self._asked and not self.in_flight

    def ask(self) -> list[int]:
        """All groups at the first call."""
        launches = [] if self._asked else self._launches
        self._asked = True
        self._ledger.launch(launches)
        return launches

    def tell(self, launch_id: int, result: GroupResult) -> None:
        """Book a result that was known before."""
        self._ledger.tell(launch_id, result)

    def select(self) -> Selection:
        """The groups that fill the quotas."""
        return select_groups(self._ledger, self.quota_K, self.quota_K, self._batch_size, rounds=1)
