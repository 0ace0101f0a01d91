"""Groups that failed: how they are logged, by task and with their first exception, and when a run stops over them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import transfer_queue as tq
from transfer_queue import KVBatchMeta

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import Outcome
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.streaks import FAILING_STEPS_LIMIT
from mt_grpo_recipe.verl_plugin.queue_rows import PARTITION

logger = logging.getLogger(__name__)

ERROR = "mt_grpo_error"
"""Tag of a failed group: the end of its traceback."""
ERROR_LENGTH = 2000
"""Characters of a traceback that the queue keeps."""
_STALLED = "no group ended for mt_grpo.sampler.stall_timeout_s while it was in flight"
REASONS = {
    "finished": "it has no output, or one of its rewards or `acc` values is not a finite number",
    "failure": "its exception was not passed on; the log of the rollout workers has it, with uid={uid}",
    "pending": _STALLED,
    "running": _STALLED,
}
"""Why a group without the tag `ERROR` failed, by its status in verl."""


CORRECT_AND_RESUME = (
    "Fix the cause (an exception in the reward function, a reward or rollout worker that died) and start "
    "again with trainer.resume_mode=auto: the checkpoints are kept."
)


class EveryGroupFailed(RuntimeError):
    """No group finishes, so the run would train on nothing."""


class ValidationFailed(RuntimeError):
    """Every prompt of a validation batch failed, and verl cannot validate on none."""


def current_error() -> str:
    """The exception that is being handled, as the tag `ERROR` holds it; its last line names it."""
    return traceback.format_exc().strip()[-ERROR_LENGTH:]


def first_errors(selection: Selection, uids: Sequence[str]) -> dict[int, str]:
    """The first failure of each task that had failed groups in this step, by task.

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
        uid = uids[int(launch_id)]
        errors.setdefault(groups.task_of[launch_id], _error_of(uid, tags.get(uid, {})))
    return errors


def _error_of(uid: str, tag: Mapping[str, Any]) -> str:
    """What is known of why a group failed: the end of its traceback, or a sentence."""
    return tag.get(ERROR) or REASONS.get(tag.get("status", "failure"), REASONS["failure"]).format(uid=uid)


def failed_groups(partition_id: str, uids: Collection[str]) -> dict[str, str]:
    """Uid -> what is known of why it failed, for each of these groups that did; they are still in the queue."""
    tags = tq.kv_list(partition_id=partition_id).get(partition_id, {})
    return {uid: _error_of(uid, tags[uid]) for uid in uids if tags.get(uid, {}).get("status") == "failure"}


def check_validation(step: int, batch: KVBatchMeta, num_prompts: int, errors: Mapping[str, str]) -> None:
    """Log how many prompts of a validation batch failed, with the first exception.

    Args:
        step: the training step.
        batch: the rows that are left.
        num_prompts: prompts of the batch.
        errors: as `failed_groups` gives them.

    Raises:
        ValidationFailed: no row is left.
    """
    first = next(iter(errors.values()), "no rollout has an output")
    if not batch.keys:
        raise ValidationFailed(
            f"All {num_prompts} prompts of a validation batch failed at step {step}. The first failure:\n{first}"
        )
    if errors:
        logger.warning(
            "Validation at step %d: %d of %d prompts failed; their missing rollouts count as wrong. The first: %s.",
            step,
            len(errors),
            num_prompts,
            first.splitlines()[-1],
        )


def give_up_validation(failure: ValidationFailed, training_began: bool) -> None:
    """Log that a validation is left out.

    If no group of training finishes either, `stop_if_nothing_finishes` ends the run.

    Args:
        failure: what ended the validation.
        training_began: whether a step was sampled since this start.

    Raises:
        EveryGroupFailed: no step was sampled yet, so nothing is lost by stopping.
    """
    if not training_began:
        raise EveryGroupFailed(f"{failure}\n{CORRECT_AND_RESUME}") from failure
    logger.error("A validation is left out, and no accuracy is logged for it; the run goes on. %s", failure)


def log_shortfall(step: int, controller: TaskController, selection: Selection, errors: dict[int, str]) -> None:
    """Log which tasks are short of their quota and which had failed groups; warn once of a task that keeps failing.

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
            "Step %d: tasks short of their quota after %d round(s): %s; failed groups: %s.",
            step,
            selection.rounds,
            ", ".join(short) or "none",
            ", ".join(failed) or "none",
        )
    for task, error in errors.items():
        if controller.streaks.failing_K[task] == FAILING_STEPS_LIMIT:
            logger.error(
                "Task %r: every group has failed for %d steps. The task is not trained on and does not pull on the "
                "weights until a group finishes; each step tries no more of it than its share. Fix its reward function "
                "or its server. The first failure of step %d:\n%s",
                tasks[task],
                FAILING_STEPS_LIMIT,
                step,
                error,
            )


def stop_if_nothing_finishes(
    step: int, controller: TaskController, errors: dict[int, str], save: Callable[[], None]
) -> None:
    """Stop a run that has had no finished group for some steps, with a checkpoint of what was trained before.

    Args:
        step: the training step.
        controller: has observed the step.
        errors: as `first_errors` gives them.
        save: writes the checkpoint, if there is to be one; called only where the run stops.

    Raises:
        EveryGroupFailed: the limit is reached; the message has the first failure of each task.
    """
    if controller.streaks.failing < FAILING_STEPS_LIMIT:
        return
    causes = "\n".join(f"Task {controller.tasks[task]!r}:\n{error}" for task, error in errors.items())
    failure = EveryGroupFailed(
        f"Every group failed in {FAILING_STEPS_LIMIT} steps in a row, the last of them step {step}, so the run stops "
        f"rather than train on nothing. {CORRECT_AND_RESUME} The first failures of step {step}:\n{causes}"
    )
    try:
        save()
    except Exception as cause:
        raise failure from cause
    raise failure
