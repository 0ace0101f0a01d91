"""The catalogue of metrics: every name that the plugin adds to verl's training log, with what it means.

Controller, trainers, report and METRICS.md take their names from here; `python -m mt_grpo_recipe.metrics` prints that
page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

PREFIX = "mt_grpo"
"""Family of what a training step logs."""
VALIDATION = f"val-core/{PREFIX}"
"""Family of what a validation logs."""
TIMING = "timing_s"
"""verl's family of times: whatever is added to its `timing_raw` under a key is logged here."""


@dataclass(frozen=True)
class Metric:
    """One metric of the training log.

    Attributes:
        key: the name within its family, such as "weight".
        meaning: what it says, in the terms of the glossary and the paper.
        unit: what the number counts.
        per_task: whether it is logged once per task.
        family: what stands before the key, such as "mt_grpo".
    """

    key: str
    meaning: str
    unit: str
    per_task: bool = False
    family: str = PREFIX

    @property
    def name(self) -> str:
        """Name in the training log, such as "mt_grpo/rounds"; for a metric per task, the part before the task."""
        return f"{self.family}/{self.key}"

    def of(self, slug: str) -> str:
        """Name in the training log of one task's value, such as "mt_grpo/weight/2-countdown"."""
        return f"{self.name}/{slug}"


WEIGHT = Metric("weight", "z, the weight at the start of the step", "share", per_task=True)
TARGET_SHARE = Metric("target_share", "share asked for: the task's quota over the batch size", "share", per_task=True)
BATCH_SHARE = Metric(
    "batch_share", "share got: the task's share of the batch's groups that carry a gradient", "share", per_task=True
)
SHORTFALL = Metric(
    "shortfall",
    "groups that the batch is short of the quota once the budget of the step is spent",
    "groups",
    per_task=True,
)
ZERO_GRAD_RATE = Metric(
    "zero_grad_rate", "share of the finished groups whose rewards are all equal: no gradient", "share", per_task=True
)
FILTERED_RATE = Metric(
    "filtered_rate",
    "share of the finished groups that the filter drops, whatever their rewards",
    "share",
    per_task=True,
)
ACCURACY = Metric(
    "accuracy",
    "J_k: mean accuracy of the rollouts over all finished groups, before the filter",
    "share",
    per_task=True,
)
IMPROVEMENT = Metric(
    "improvement",
    "I_k: change of the task's clipped surrogate through the policy update (rules that read it)",
    "advantage",
    per_task=True,
)
TRACKED_ACCURACY = Metric("tracked_accuracy", "moving average of J_k over groups, 0.9 per step", "share", per_task=True)
TRACKED_ERROR = Metric(
    "tracked_error", "its standard error, which grows while the task is not sampled", "share", per_task=True
)
TRACKED_GROUPS = Metric(
    "tracked_groups",
    "effective number of groups behind it; falls by a tenth per step without a new one",
    "groups",
    per_task=True,
)
TRACKED_AGE = Metric("tracked_age", "steps since a group of the task finished", "steps", per_task=True)
SHORT_OF = Metric(
    "short_of",
    "distance of the tracked accuracy below the task's highest bound, negative above it (`targets`)",
    "share",
    per_task=True,
)
UNMET = Metric("unmet", "1 where a bound of the task is not met (`targets`)", "0 or 1", per_task=True)
OUT_OF_REACH = Metric(
    "out_of_reach", "1 where the task makes no progress toward an unmet bound (`targets`)", "0 or 1", per_task=True
)
ADVANTAGE = Metric(
    "advantage",
    "mean absolute advantage of the task's samples (`sec_*` and `dump` read it)",
    "advantage",
    per_task=True,
)
FAILING_STEPS = Metric(
    "failing_steps", "steps in a row in which groups of the task failed and none finished", "steps", per_task=True
)
GENERATED = Metric("generated", "groups launched", "groups", per_task=True)
INFORMATIVE = Metric("informative", "informative groups that ended", "groups", per_task=True)
ALL_RIGHT = Metric(
    "all_right",
    "useless groups (filtered, or with equal rewards) whose rollouts are all right",
    "groups",
    per_task=True,
)
ALL_WRONG = Metric("all_wrong", "useless groups without a right rollout", "groups", per_task=True)
ALL_ALIKE = Metric(
    "all_alike",
    "useless groups that are neither all right nor all wrong, such as those with equal partial credit",
    "groups",
    per_task=True,
)
FAILED = Metric("failed", "groups that failed", "groups", per_task=True)
TRAINED = Metric("trained", "groups trained on", "groups", per_task=True)
WITH_GRADIENT = Metric("with_gradient", "groups trained on that carry a gradient", "groups", per_task=True)
DISCARDED = Metric("discarded", "informative groups that are never trained on", "groups", per_task=True)
CARRIED = Metric("carried", "informative groups that wait for the next step", "groups", per_task=True)
OWED = Metric(
    "owed",
    "groups owed to the task after the step, negative if it is ahead (`budget`)",
    "groups",
    per_task=True,
)
GENERATED_ROLLOUTS = Metric("generated_rollouts", "rollouts of the groups that ended", "rollouts", per_task=True)
TRAINED_ROLLOUTS = Metric("trained_rollouts", "rollouts trained on", "rollouts", per_task=True)
GENERATED_TOKENS = Metric("generated_tokens", "response tokens of the groups that ended", "tokens", per_task=True)
TRAINED_TOKENS = Metric("trained_tokens", "response tokens trained on", "tokens", per_task=True)
ADVANTAGE_MASS = Metric(
    "advantage_mass",
    "the task's part of the gradient: absolute advantage times loss weight, over tokens as the loss sums them",
    "advantage",
    per_task=True,
)
LOSS_WEIGHT = Metric(
    "loss_weight", "weight of the task's samples in the policy loss (`mt_grpo.loss_weighting`)", "factor", per_task=True
)
TOTAL_ROLLOUTS = Metric("total_rollouts", "rollouts generated since the run began", "rollouts")
TOTAL_TOKENS = Metric("total_tokens", "response tokens generated since the run began", "tokens")
TRAINED_OVER_INFORMATIVE = Metric(
    "trained_over_informative", "groups trained on as a share of all informative groups since the run began", "share"
)
AGE = Metric("age", "mean age of the groups trained on; 0: launched after the last update", "steps")
ROUNDS = Metric("rounds", "rounds of generation", "rounds")
FAILED_GROUPS = Metric("failed_groups", "groups that failed, over all tasks", "groups")
SKIPPED_UPDATE = Metric("skipped_update", "1 where no group was informative and the policy was not updated", "0 or 1")
HELD_GROUPS = Metric("held_groups", "groups in flight or in stock after the step (`mt_grpo_async`)", "groups")
STALE_GROUPS = Metric("stale_groups", "groups dropped because they were too old (`mt_grpo_async`)", "groups")
STEPS_LEFT = Metric("steps_left", "steps until the end of the run", "steps")

WORST_TASK_ACCURACY = Metric("worst_task_acc", "lowest accuracy of a trained task", "share", family=VALIDATION)
AVERAGE_ACCURACY = Metric(
    "avg_acc", "mean accuracy of the trained tasks, each with equal weight", "share", family=VALIDATION
)
TASK_ACCURACY = Metric(
    "acc", "mean accuracy of the task's answers; held-out tasks have one too", "share", per_task=True, family=VALIDATION
)

DECIDE_SECONDS = Metric(
    "mt_grpo_decide", "drawing quotas, choosing what to generate and what to train on", "seconds", family=TIMING
)
POLL_SECONDS = Metric(
    "mt_grpo_poll", "looking for ended groups in the queue, and reading their rewards", "seconds", family=TIMING
)
IMPROVEMENT_SECONDS = Metric("improvement", "the forward pass that measures I_k", "seconds", family=TIMING)

METRICS = (
    WEIGHT,
    TARGET_SHARE,
    BATCH_SHARE,
    SHORTFALL,
    ZERO_GRAD_RATE,
    FILTERED_RATE,
    ACCURACY,
    IMPROVEMENT,
    TRACKED_ACCURACY,
    TRACKED_ERROR,
    TRACKED_GROUPS,
    TRACKED_AGE,
    SHORT_OF,
    UNMET,
    OUT_OF_REACH,
    ADVANTAGE,
    FAILING_STEPS,
    GENERATED,
    INFORMATIVE,
    ALL_RIGHT,
    ALL_WRONG,
    ALL_ALIKE,
    FAILED,
    TRAINED,
    WITH_GRADIENT,
    DISCARDED,
    CARRIED,
    OWED,
    GENERATED_ROLLOUTS,
    TRAINED_ROLLOUTS,
    GENERATED_TOKENS,
    TRAINED_TOKENS,
    ADVANTAGE_MASS,
    LOSS_WEIGHT,
    TOTAL_ROLLOUTS,
    TOTAL_TOKENS,
    TRAINED_OVER_INFORMATIVE,
    AGE,
    ROUNDS,
    FAILED_GROUPS,
    SKIPPED_UPDATE,
    HELD_GROUPS,
    STALE_GROUPS,
    STEPS_LEFT,
    WORST_TASK_ACCURACY,
    AVERAGE_ACCURACY,
    TASK_ACCURACY,
    DECIDE_SECONDS,
    POLL_SECONDS,
    IMPROVEMENT_SECONDS,
)
"""Every metric, in the order of METRICS.md."""

TASK_METRICS = {metric.key: metric for metric in METRICS if metric.per_task and metric.family == PREFIX}
"""What a training step logs per task, by key."""

TOTAL_METRICS = {metric.key: metric for metric in METRICS if not metric.per_task and metric.family == PREFIX}
"""What a training step logs over all tasks, by key."""


def is_step_metric(name: str) -> bool:
    """Whether a name in the training log is one that the plugin logs in a training step, except times."""
    return name.startswith(f"{PREFIX}/")


def task_slugs(tasks: Sequence[str]) -> dict[str, str]:
    """Map each task name to a distinct name that is safe inside a metric: letters, digits, "." and "-" only.

    Names that coincide after cleaning get a number: `a/b` and `a_b` become `a-b` and `a-b-2`.
    """
    slugs: dict[str, str] = {}
    for task in tasks:
        base = re.sub(r"[^\w.]+|_+", "-", task).strip("-") or "task"
        slug, number = base, 1
        while slug in slugs.values():
            number += 1
            slug = f"{base}-{number}"
        slugs[task] = slug
    return slugs


_ABOVE = """# Metrics

What the plugin adds to verl's log: `mt_grpo/` and `timing_s/` in every step, `val-core/` at every validation. Shares
are between 0 and 1. Terms are those of the [glossary](README.md#glossary). This page is printed by
`python -m mt_grpo_recipe.metrics`."""
_BELOW = """A task without a value in a step is left out. Task names are cleaned for metrics: only letters, digits, "."
and "-" stay. Under `mt_grpo_async` with several mini-batches per step, `mt_grpo/` metrics are joined over them: what
was generated, failed, discarded or trained on is the sum, a state or a total since the run began is the last value, and
all else is the mean."""


def markdown_page() -> str:
    """METRICS.md: the catalogue as a Markdown table, one row per metric, and what holds for all of them."""
    rows = [
        f"| `{metric.of('<task>') if metric.per_task else metric.name}` | {metric.unit} | {metric.meaning} |"
        for metric in METRICS
    ]
    return "\n".join([_ABOVE, "", "| metric | unit | meaning |", "|---|---|---|", *rows, "", _BELOW])


if __name__ == "__main__":
    print(markdown_page())
