"""What a step cost: groups, rollouts and tokens that were generated, and how many of them were trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mt_grpo_recipe import metrics
from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.algorithm.groups import Outcome
from mt_grpo_recipe.algorithm.selection import Selection


def step_costs(
    selection: Selection, carries_over: bool, forgotten_K: IntArray
) -> dict[metrics.Metric, FloatArray | IntArray]:
    """Costs of a step by task, arrays of shape (K,). A group's rollouts and tokens count in the step in which it ended.

    Args:
        selection: what the step brought.
        carries_over: whether an informative group that was not chosen waits for the next step, or is lost.
        forgotten_K: informative groups that waited, and were dropped before this step began, shape (K,).
    """
    groups, chosen = selection.groups, np.asarray(selection.launch_ids, dtype=np.int64)
    told = groups.told_now()
    left = np.asarray(selection.left, dtype=np.int64)
    unchosen_K = groups.count_K(left[groups.outcomes()[left] > 0])
    nothing_K = np.zeros_like(unchosen_K)
    outcomes, accuracies = groups.outcomes(), groups.accuracies()
    # Groups that leave nothing with a gradient to train on.
    flat = told & ((outcomes == Outcome.FILTERED) | ((outcomes == Outcome.INFORMATIVE) & ~groups.spread()))
    return {
        metrics.INFORMATIVE: selection.finished_K - selection.filtered_K,
        metrics.ALL_RIGHT: groups.count_K(flat & (accuracies == 1)),
        metrics.ALL_WRONG: groups.count_K(flat & (accuracies == 0)),
        metrics.ALL_ALIKE: groups.count_K(flat & (accuracies > 0) & (accuracies < 1)),
        metrics.FAILED: selection.failed_K,
        metrics.TRAINED: selection.chosen_K,
        metrics.WITH_GRADIENT: selection.chosen_gradient_K,
        metrics.DISCARDED: forgotten_K if carries_over else unchosen_K,
        metrics.CARRIED: unchosen_K if carries_over else nothing_K,
        metrics.GENERATED_ROLLOUTS: groups.rollouts_K(told),
        metrics.TRAINED_ROLLOUTS: groups.rollouts_K(chosen),
        metrics.GENERATED_TOKENS: groups.tokens_K(told),
        metrics.TRAINED_TOKENS: groups.tokens_K(chosen),
    }


@dataclass
class CostTotals:
    """Costs over all tasks: of the latest step, and since the run began."""

    rollouts: int = 0
    """Generated since the run began."""
    tokens: int = 0
    informative: int = 0
    trained: int = 0
    """Groups since the run began."""
    age: float = 0.0
    """Mean age of the groups of the latest batch, in steps."""

    def add(self, selection: Selection) -> None:
        """Count a step."""
        groups = selection.groups
        told = groups.told_now()
        self.rollouts += int(groups.rollouts_K(told).sum())
        self.tokens += int(groups.tokens_K(told).sum())
        self.informative += int((selection.finished_K - selection.filtered_K).sum())
        self.trained += len(selection.launch_ids)
        ages = [groups.step - groups.launched_in(launch_id) for launch_id in selection.launch_ids]
        self.age = float(np.mean(ages)) if ages else 0.0

    def metrics(self) -> dict[metrics.Metric, float]:
        """The totals as they are logged."""
        return {
            metrics.TOTAL_ROLLOUTS: self.rollouts,
            metrics.TOTAL_TOKENS: self.tokens,
            metrics.TRAINED_OVER_INFORMATIVE: self.trained / max(self.informative, 1),
            metrics.AGE: self.age,
        }

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        for name, value in state.items():
            setattr(self, name, value)
