"""What a replay cost: figures over its steps, as the training log counts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mt_grpo_recipe.metrics import (
    BATCH_SHARE,
    FAILED_GROUPS,
    GENERATED,
    GENERATED_ROLLOUTS,
    GENERATED_TOKENS,
    INFORMATIVE,
    ROUNDS,
    SHORTFALL,
    SKIPPED_UPDATE,
    TARGET_SHARE,
    TRAINED,
    TRAINED_ROLLOUTS,
    Metric,
)
from mt_grpo_recipe.simulator.replay import ReplayedStep

PER_STEP: dict[str, tuple[str, Metric]] = {
    "prompts_per_step": ("groups generated per step", GENERATED),
    "rollouts_per_step": ("rollouts generated per step", GENERATED_ROLLOUTS),
    "tokens_per_step": ("response tokens generated per step", GENERATED_TOKENS),
    "rounds_per_step": ("rounds per step", ROUNDS),
    "informative_per_step": ("informative groups per step", INFORMATIVE),
    "trained_per_step": ("groups trained on per step", TRAINED),
    "shortfall": ("groups missing from the quotas per step", SHORTFALL),
    "failed_per_step": ("failed groups per step", FAILED_GROUPS),
    "skipped_steps": ("share of steps that train on nothing", SKIPPED_UPDATE),
}
"""Figure -> its title, and the metric that it is the mean of, summed over the tasks."""

TITLES = {
    **{name: title for name, (title, _) in PER_STEP.items()},
    "rollouts_per_trained_group": "rollouts generated per group trained on",
    "trained_rollouts_share": "share of the rollouts trained on",
    "max_share_error": "share error per step",
    "cumulated_share_error": "share error of the run",
    "drawn_share": "share of the groups drawn from nearby steps",
}
"""Figure -> its title, in the order in which they are shown."""


def replay_cost(tasks: Sequence[str], steps: Sequence[ReplayedStep]) -> dict[str, float | None]:
    """The figures of `TITLES`.

    Args:
        tasks: slugs of the tasks.
        steps: at least one.

    Returns:
        Means over the steps. Rollouts and tokens are those of the groups that ended. `max_share_error` is the largest
        |share got - share asked for| of a task in a step, `cumulated_share_error` the largest |share of all groups
        trained on - mean weight| of a task, each step's weights counting in proportion to the groups that it trains on.
        None where nothing is trained on.
    """
    figures: dict[str, float | None] = {name: _mean(tasks, steps, metric) for name, (_, metric) in PER_STEP.items()}
    trained, rollouts = _mean(tasks, steps, TRAINED), _mean(tasks, steps, GENERATED_ROLLOUTS)
    got, asked = _by_task(tasks, steps, BATCH_SHARE), _by_task(tasks, steps, TARGET_SHARE)
    trained_K = _by_task(tasks, steps, TRAINED).sum(axis=0)
    counts = np.array([len(step.selection.launch_ids) for step in steps])
    due_K = counts @ np.array([step.weights_K for step in steps])
    drawn = sum(step.drawn for step in steps)
    return figures | {
        "rollouts_per_trained_group": rollouts / trained if trained else None,
        "trained_rollouts_share": _mean(tasks, steps, TRAINED_ROLLOUTS) / rollouts if rollouts else None,
        "max_share_error": float(np.abs(got - asked).max(axis=1).mean()),
        "cumulated_share_error": float(np.abs(trained_K - due_K).max() / counts.sum()) if counts.any() else None,
        "drawn_share": drawn / int(_by_task(tasks, steps, GENERATED).sum()),
    }


def _by_task(tasks: Sequence[str], steps: Sequence[ReplayedStep], metric: Metric) -> np.ndarray:
    """A metric that is logged per task, shape (steps, K)."""
    return np.array([[step.metrics[metric.of(task)] for task in tasks] for step in steps])


def _mean(tasks: Sequence[str], steps: Sequence[ReplayedStep], metric: Metric) -> float:
    """Mean over the steps of a metric, summed over the tasks where it is logged per task."""
    if metric.per_task:
        return float(_by_task(tasks, steps, metric).sum(axis=1).mean())
    return float(np.mean([step.metrics[metric.name] for step in steps]))
