"""Groups that failed: what is said of them, by task and with their first exception, and when a run stops over them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence

import numpy as np
import transfer_queue as tq

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import Outcome
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.verl_plugin.queue_rows import PARTITION

logger = logging.getLogger(__name__)

ERROR = "mt_grpo_error"
"""Tag of a failed group: the end of its traceback."""
ERROR_LENGTH = 2000
"""Characters of a traceback that the queue keeps."""
FAILING_STEPS_LIMIT = 3
"""Steps in a row after which a failing task is warned of, and after which a run without one finished group stops."""
REASONS = {
    "finished": "its rewards are not all finite numbers",
    "failure": "the log of the rollout workers has its traceback",
    "running": "it did not end within mt_grpo.sampler.stall_timeout_s",
}
"""Why a group failed that has no tag `ERROR`, by verl's status of it."""


class EveryGroupFailed(RuntimeError):
    """Nothing finishes any longer, so that going on would train on nothing."""


def current_error() -> str:
    """The exception that is being handled, as the tag `ERROR` holds it; its last line names it."""
    return traceback.format_exc().strip()[-ERROR_LENGTH:]


def first_errors(selection: Selection, uids: Sequence[str]) -> dict[int, str]:
    """The first failure of each task of which groups failed in this step, by task.

    Args:
        selection: of the step; its groups are still in the queue.
        uids: uid of each group, by launch id.
    """
    if not selection.failed_K.any():
        return {}
    tags = tq.kv_list(partition_id=PARTITION).get(PARTITION, {})
    groups = selection.groups
    errors: dict[int, str] = {}
    for launch_id in np.flatnonzero((groups.outcomes() == Outcome.FAILED) & groups.told_now()):
        tag = tags.get(uids[int(launch_id)], {})
        error = tag.get(ERROR) or REASONS.get(tag.get("status"), REASONS["failure"])
        errors.setdefault(groups.task_of[launch_id], error)
    return errors


def log_shortfall(step: int, controller: TaskController, selection: Selection, errors: dict[int, str]) -> None:
    """Say which tasks are short of their quota, and of which ones groups failed; warn once of a task that goes on so.

    Args:
        step: the training step.
        controller: has observed the step.
        selection: of the step.
        errors: as `first_errors` gives them.
    """
    tasks = controller.tasks
    # Where shares hold over the run, every step is short of some task and ahead in others.
    missed = np.flatnonzero(selection.shortfall_K) if selection.owed_K is None else []
    short = [f"{tasks[task]!r} {selection.chosen_K[task]} of {selection.quota_K[task]}" for task in missed]
    failed_K, ended_K = selection.failed_K, selection.failed_K + selection.finished_K
    failed = [f"{tasks[k]!r} {failed_K[k]} of {ended_K[k]} ({error.splitlines()[-1]})" for k, error in errors.items()]
    if short or failed:
        logger.warning(
            "Step %d: short of its quota after %d rounds: %s; groups failed: %s.",
            step,
            selection.rounds,
            ", ".join(short) or "none",
            ", ".join(failed) or "none",
        )
    for task, error in errors.items():
        if controller.failing_steps_K[task] == FAILING_STEPS_LIMIT:
            logger.error(
                "Task %r: no group has finished for %d steps, all of them failed. Nothing of it is trained on and its "
                "weight is left alone until one finishes. Correct its reward function or its server. The first "
                "failure of step %d:\n%s",
                tasks[task],
                FAILING_STEPS_LIMIT,
                step,
                error,
            )


def stop_if_nothing_finishes(step: int, controller: TaskController, errors: dict[int, str]) -> None:
    """Stop a run that has no finished group for some steps.

    Args:
        step: the training step.
        controller: has observed the step.
        errors: as `first_errors` gives them.

    Raises:
        EveryGroupFailed: that many steps are reached; the message has the first failure of each task.
    """
    if controller.failing_steps < FAILING_STEPS_LIMIT:
        return
    causes = "\n".join(f"Task {controller.tasks[task]!r}:\n{error}" for task, error in errors.items())
    raise EveryGroupFailed(
        f"Every group failed in {FAILING_STEPS_LIMIT} steps in a row, the last of them step {step}, so the run stops "
        "rather than train on nothing. Correct the cause below (an exception in the reward function, a reward or "
        "rollout worker that died) and start again with trainer.resume_mode=auto: the checkpoints are kept. The first "
        f"failures of step {step}:\n{causes}"
    )
