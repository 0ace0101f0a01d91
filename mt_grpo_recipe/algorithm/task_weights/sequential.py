"""Rule `sequential`: one stage of tasks after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.task_weights.base import WeightRule


class SequentialWeights(WeightRule):
    """Stages of tasks, one after the other: z is uniform over the tasks of the current stage and zero elsewhere.

    Args:
        num_tasks: K.
        stages: task numbers of each stage.
        stage_steps: updates a stage lasts; the last stage never ends.
    """

    def __init__(self, num_tasks: int, stages: list[list[int]], stage_steps: int):
        self._stages_K = np.zeros((len(stages), num_tasks))
        for stage, tasks in enumerate(stages):
            self._stages_K[stage, tasks] = 1 / len(tasks)
        self._stage_steps = stage_steps
        self._updates = 0

    @property
    def weights_K(self) -> FloatArray:
        """z, shape (K,)."""
        return self._stages_K[min(self._updates // self._stage_steps, len(self._stages_K) - 1)].copy()

    @property
    def standing_weights(self) -> list[FloatArray]:
        """One for each stage."""
        return list(self._stages_K)

    def update(self, accuracy_K: FloatArray, signal_K: FloatArray) -> None:
        """Count one step."""
        self._updates += 1

    def skip(self) -> None:
        """Count a step that trained on nothing, too: it does not prolong the stage."""
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """The steps counted."""
        return {"updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._updates = int(state["updates"])
