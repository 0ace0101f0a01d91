"""Groups that failed: named with their first exception, warned of once; a run without any others stops."""

import logging
from types import SimpleNamespace

import fake_queue
import numpy as np
import pytest

from mt_grpo_recipe.algorithm.groups import GroupLedger, GroupResult, Outcome
from mt_grpo_recipe.algorithm.selection import select_groups
from mt_grpo_recipe.verl_plugin import failures
from mt_grpo_recipe.verl_plugin.failures import (
    EveryGroupFailed,
    current_error,
    first_errors,
    log_shortfall,
    stop_if_nothing_finishes,
)

FAILED = GroupResult(Outcome.FAILED, 0.0, False)
GOOD = GroupResult(Outcome.INFORMATIVE, 0.5, True)
TRACEBACK = "Traceback (most recent call last):\n  File 'reward.py', line 8\nKeyError: 'answer_key'"


def step_of(*results):
    """The selection of a step with these (task, result) of two tasks, in order of launch."""
    groups = GroupLedger(2)
    groups.launch([task for task, _ in results])
    for launch_id, (_, result) in enumerate(results):
        groups.tell(launch_id, result)
    return select_groups(groups, np.array([1, 1]), None, batch_size=2, rounds=1)


def controller(failing_steps_K=(0, 0), failing_steps=0):
    streaks = SimpleNamespace(failing_K=np.array(failing_steps_K), failing=failing_steps)
    return SimpleNamespace(tasks=["a", "b"], streaks=streaks)


def test_the_text_of_an_exception_ends_with_its_name_and_has_a_bounded_length():
    try:
        raise KeyError("x" * 100)
    except KeyError:
        assert current_error().splitlines()[-1] == f"KeyError: '{'x' * 100}'"
    try:
        raise ValueError("x" * 10_000)
    except ValueError:
        assert len(current_error()) == failures.ERROR_LENGTH


def test_the_first_failure_of_each_task_is_found_whatever_failed(monkeypatch):
    rollout = fake_queue.FakeRollout(lambda task, number: None)
    rollout.items = {
        "u0": {"status": "failure", failures.ERROR: TRACEBACK},
        "u1": {"status": "failure", failures.ERROR: "ValueError: a later one"},
        "u2": {"status": "finished"},
        "u3": {"status": "finished"},
    }
    monkeypatch.setattr(failures, "tq", rollout)
    errors = first_errors(step_of((0, FAILED), (0, FAILED), (1, FAILED), (1, GOOD)), ["u0", "u1", "u2", "u3"])
    assert errors == {0: TRACEBACK, 1: "it has no output, or one of its rewards or `acc` values is not a finite number"}
    rollout.items = {"u0": {"status": "failure"}, "u1": {"status": "running"}}
    errors = first_errors(step_of((0, FAILED), (1, FAILED)), ["u0", "u1"])
    assert errors[0].endswith("the log of the rollout workers has it, with uid=u0") and "stall_timeout_s" in errors[1]


def test_a_step_says_how_many_groups_of_which_task_failed_and_why(caplog):
    with caplog.at_level(logging.WARNING):
        log_shortfall(7, controller((1, 0)), step_of((0, FAILED), (0, FAILED), (1, GOOD)), {0: TRACEBACK})
        log_shortfall(8, controller(), step_of((0, GOOD), (1, GOOD)), {})
    assert caplog.messages == [
        "Step 7: tasks short of their quota after 1 round(s): 'a' 0 of 1; "
        "failed groups: 'a' 2 of 2 (KeyError: 'answer_key')."
    ]


def test_a_task_that_goes_on_failing_is_warned_of_once_with_its_traceback(caplog):
    with caplog.at_level(logging.ERROR):
        for failing in range(1, 6):
            log_shortfall(failing, controller((failing, 0)), step_of((0, FAILED), (1, GOOD)), {0: TRACEBACK})
    (message,) = caplog.messages
    assert "Task 'a': every group has failed for 3 steps" in message and message.endswith(TRACEBACK)


def test_a_run_stops_after_three_steps_without_a_finished_group():
    saved = []
    stop_if_nothing_finishes(4, controller(failing_steps=2), {0: TRACEBACK}, lambda: saved.append(4))
    assert not saved
    with pytest.raises(EveryGroupFailed, match="3 steps in a row, the last of them step 5") as raised:
        stop_if_nothing_finishes(5, controller(failing_steps=3), {0: TRACEBACK}, lambda: saved.append(5))
    assert saved == [5]
    assert str(raised.value).endswith(TRACEBACK) and "trainer.resume_mode=auto" in str(raised.value)


def test_a_checkpoint_that_cannot_be_written_does_not_hide_why_the_run_stops():
    def save():
        raise OSError("disk full")

    with pytest.raises(EveryGroupFailed, match="3 steps in a row") as raised:
        stop_if_nothing_finishes(5, controller(failing_steps=3), {0: TRACEBACK}, save)
    assert str(raised.value.__cause__) == "disk full"
