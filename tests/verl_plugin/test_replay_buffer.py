"""The buffer over an imitated queue: what it launches, keeps, clears and reports."""

import logging
import math

import numpy as np
import pytest
from buffers import MALFORMED, MISSING, MIXED, RIGHT, WRONG, make_buffer, sample

from mt_grpo_recipe.verl_plugin import failures
from mt_grpo_recipe.verl_plugin.failures import ValidationFailed
from mt_grpo_recipe.verl_plugin.replay_buffer import EmptyBatch


def shares(buffer, batch):
    uids = {key.split("_")[0] for key in batch.keys}
    tasks = [buffer.task_of(uid) for uid in uids]
    return np.bincount(tasks, minlength=len(buffer.controller.tasks))


def test_the_batch_holds_the_quotas_in_whole_groups_and_nothing_is_left_in_the_queue(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED if task or number % 2 else [WRONG] * 4)
    batch = sample(buffer)
    assert shares(buffer, batch).tolist() == buffer.record.selection.quota_K.tolist() == [4, 4]
    assert len(batch) == 8 * 4
    groups = [key.split("_")[0] for key in batch.keys]
    assert all(groups[i] == groups[i - i % 4] for i in range(len(groups)))
    assert set(rollout.items) == set(batch.keys)


def groups_of(batch):
    """Uids of a batch, in order."""
    return list(dict.fromkeys(key.split("_")[0] for key in batch.keys))


def test_groups_are_chosen_by_launch_not_by_finish(monkeypatch):
    buffer, _ = make_buffer(monkeypatch, lambda task, number: MIXED, tasks=("a",))
    # 24 groups were launched and end newest first; the first eight launched make the batch.
    assert sorted(groups_of(sample(buffer))) == [f"uid{i}" for i in range(8)]


def test_a_task_that_fell_short_is_not_in_the_last_mini_batch_alone(monkeypatch):
    """Of task a only every fifth group is informative: its last ones come from later rounds."""
    orders = []
    for _ in range(2):
        buffer, _ = make_buffer(monkeypatch, lambda task, number: MIXED if task or number % 5 == 0 else [WRONG] * 4)
        batches = [sample(buffer) for _ in range(2)]
        orders.append([groups_of(batch) for batch in batches])
        uids = orders[-1][0]
        assert [buffer.controller.tasks[buffer.task_of(uid)] for uid in groups_of(batches[1])].count("a") == 4
        assert uids != sorted(uids, key=lambda uid: int(uid.removeprefix("uid")))
    assert orders[0] == orders[1], "the order is that of the seed and the step"


@pytest.mark.parametrize(
    ("informative", "group", "kept"),
    [
        ("mixed", MIXED, True),
        ("mixed", [WRONG, MALFORMED, WRONG, WRONG], False),
        ("mixed", [RIGHT] * 4, False),
        ("spread", [WRONG, MALFORMED, WRONG, WRONG], True),
        ("spread", [WRONG] * 4, False),
        ("spread", [(1.0, MISSING), (0.1, MISSING)] * 2, True),
        ("mixed", [(1.0, MISSING), (0.1, MISSING)] * 2, True),
        ("mixed", [(1.0, None), (0.1, None)] * 2, True),
    ],
)
def test_the_filter_decides_which_groups_count(monkeypatch, informative, group, kept):
    buffer, _ = make_buffer(monkeypatch, lambda task, number: group, informative=informative, max_resample_rounds=1)
    if kept:
        assert len(sample(buffer)) == 32
    else:
        with pytest.raises(EmptyBatch):
            sample(buffer)


def test_a_hopeless_task_ends_within_the_budget_with_its_shortfall_logged(monkeypatch, caplog):
    buffer, rollout = make_buffer(
        monkeypatch, lambda task, number: [WRONG] * 4 if task == 0 else MIXED, max_resample_rounds=3
    )
    with caplog.at_level(logging.WARNING):
        batch = sample(buffer)
    assert len(rollout.launched) == 3 * 8 * 4
    assert shares(buffer, batch).tolist() == [0, 8]
    assert "short of their quota after 4 round(s): 'a' 0 of 4" in caplog.text
    assert buffer.controller.metrics()["shortfall"] == {"a": 4.0, "b": 0.0}
    assert buffer.controller.metrics()["zero_grad_rate"] == {"a": 1.0, "b": 0.0}


def test_filtered_groups_leave_the_queue_as_soon_as_they_are_judged(monkeypatch):
    """A step may filter many times the rows that verl's queue can hold."""
    buffer, rollout = make_buffer(
        monkeypatch, lambda task, number: [WRONG] * 4 if task == 0 else MIXED, max_resample_rounds=10
    )
    rows, clear = [], rollout.kv_clear
    monkeypatch.setattr(
        rollout, "kv_clear", lambda keys, partition_id: (rows.append(len(rollout.items)), clear(keys, partition_id))
    )
    sample(buffer)
    a_round, informative = 3 * 8, rollout.launched.count(1)
    assert len(rollout.launched) == 11 * a_round > 2 * (informative + a_round)
    # A group has a row of its own and one for each of its four rollouts.
    assert max(rows) <= 5 * (informative + a_round)


def test_no_signal_anywhere_is_an_empty_batch_and_leaves_the_queue_clean(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: [RIGHT] * 4, max_resample_rounds=2)
    with pytest.raises(EmptyBatch):
        sample(buffer)
    assert rollout.items == {}
    assert buffer.controller.metrics()["accuracy"] == {"a": 1.0, "b": 1.0}


def test_failed_groups_and_rewards_that_are_no_number_are_replaced_and_never_trained_on(monkeypatch):
    def outcome(task, number):
        if number % 3 == 0:
            return None
        return [(float("nan"), 1.0), *MIXED[1:]] if number % 3 == 1 else MIXED

    buffer, _ = make_buffer(monkeypatch, outcome)
    batch = sample(buffer)
    assert {int(key.split("_")[0][3:]) % 3 for key in batch.keys} == {2}
    assert buffer.record.selection.failed_K.sum() > 0
    assert buffer.controller.metrics()["accuracy"] == {"a": 0.5, "b": 0.5}


def test_without_a_filter_failed_groups_are_replaced_one_for_one(monkeypatch):
    buffer, rollout = make_buffer(
        monkeypatch, lambda task, number: None if number < 2 else MIXED, drop_uninformative=False, ratio=False
    )
    batch = sample(buffer)
    assert len(rollout.launched) == 10
    assert shares(buffer, batch).tolist() == buffer.record.selection.quota_K.tolist()


def test_rollouts_that_never_end_are_given_up(monkeypatch, caplog):
    buffer, _ = make_buffer(monkeypatch, lambda task, number: "running" if number == 5 else MIXED, stall_timeout_s=0.05)
    batch = sample(buffer)
    assert len(batch) == 32
    assert "1 groups are given up" in caplog.text


def test_leftovers_of_an_earlier_step_are_cleared_and_not_trained_on(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED)
    rollout.items["old"] = {"is_prompt": True, "status": "finished", "global_steps": 0}
    rollout.items["old_0_0"] = {"status": "success", "seq_len": 5}
    batch = sample(buffer)
    assert "old" not in rollout.items and "old_0_0" not in rollout.items
    assert not any(key.startswith("old") for key in batch.keys)


def test_of_several_outputs_of_a_session_the_last_one_counts(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED, tasks=("a",), batch_size=1, oversample=1.0)
    original = rollout.kv_list

    def with_second_outputs():
        listed = original()["train"]
        for key in [key for key in listed if key.endswith("_0_0")]:
            second = key[:-1] + "1"
            rollout.items[second] = listed[second] = {"status": "success", "seq_len": 5}
            rollout.fields[second] = rollout.fields[key.replace("_0_0", "_1_0")]
        return {"train": listed}

    monkeypatch.setattr(rollout, "kv_list", with_second_outputs)
    sample(buffer)
    # Session 0 was right at first, but its last output carries the wrong session's reward: 1 of 4 is right.
    assert buffer.controller.metrics()["accuracy"] == {"a": 0.25}


def test_without_a_filter_groups_without_a_gradient_are_trained_on_and_counted(monkeypatch):
    buffer, _ = make_buffer(
        monkeypatch, lambda task, number: MIXED if task else [WRONG] * 4, drop_uninformative=False, ratio=False
    )
    assert len(sample(buffer)) == 32
    assert buffer.controller.metrics()["zero_grad_rate"] == {"a": 1.0, "b": 0.0}
    assert buffer.controller.metrics()["batch_share"] == {"a": 0.0, "b": 1.0}


def test_the_task_of_a_row_is_that_of_its_group(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED)
    batch = sample(buffer)
    assert all(buffer.task_of(key.split("_")[0]) == rollout.launched[int(key.split("_")[0][3:])] for key in batch.keys)
    assert buffer.task_of("padding") is None


def test_a_budget_generates_its_groups_and_trains_on_all_that_are_informative(monkeypatch, caplog):
    buffer, rollout = make_buffer(
        monkeypatch,
        lambda task, number: MIXED if task or number % 3 == 0 else [WRONG] * 4,
        schedule="budget",
        quota=None,
    )
    for _ in range(20):
        before = len(rollout.launched)
        batch = sample(buffer)
        launched = rollout.launched[before:]
        informative = [number for number, task in enumerate(launched, start=before) if task or number % 3 == 0]
        assert len(launched) == 8
        assert sorted(groups_of(batch)) == sorted(f"uid{number}" for number in informative)
        rollout.kv_clear(batch.keys, "train")
    assert "short of their quota" not in caplog.text
    assert buffer.controller.totals()["trained_over_informative"] == 1
    assert np.abs(buffer.controller.state_dict()["owed"]).max() <= 4


@pytest.mark.parametrize("surplus", ["drain", "abort"])
def test_surplus_groups_are_waited_for_or_stopped_and_never_trained_on(monkeypatch, surplus, caplog):
    # Eight groups of each task are launched at once. The fourth of a task comes after three of its own and at most the
    # other's eight, so the first twelve settle the batch; every other one of the rest never ends.
    def outcome(task, number):
        return MIXED if number < 12 or surplus == "drain" or number % 2 else "running"

    buffer, rollout = make_buffer(monkeypatch, outcome, schedule="streaming", surplus=surplus, stall_timeout_s=5)
    batch = sample(buffer)
    selection = buffer.record.selection
    assert shares(buffer, batch).tolist() == [4, 4]
    assert len(rollout.launched) > 8 and not rollout.items.keys() - {key.split("_")[0] for key in batch.keys} - set(
        batch.keys
    )
    assert selection.failed_K.sum() == 0 and "failed" not in caplog.text
    if surplus == "abort":
        assert rollout.aborted
        assert selection.finished_K.sum() == len(rollout.launched) - len(rollout.aborted)
    else:
        assert not rollout.aborted
        assert selection.finished_K.sum() == len(rollout.launched)


@pytest.mark.parametrize(
    "rollouts",
    [
        [RIGHT, WRONG, WRONG, RIGHT],
        [(1.0, MISSING), (0.1, MISSING), (0.0, MISSING), (1.0, MISSING)],
        [(1.0, None), WRONG, (0.1, MISSING), (1.0, MISSING)],
        [(0.2, 1.0), (1.0, 0.0), (1.0, 0.5), (0.0, 1)],
        [(float("nan"), 1.0), (float("nan"), None), WRONG, RIGHT],
    ],
)
def test_validation_judges_a_rollout_as_training_does(monkeypatch, rollouts):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED)
    rollout.validate("p", rollouts)
    rollout.validate("q", None)
    buffer.sample(global_steps=1, partition_id="val", batch_size=2)
    assert buffer.take_validated() == {"p": [1.0, 0.0, 0.0, 1.0]}
    assert buffer.take_validated() == {}
    if not math.isnan(rollouts[0][0]):  # A reward that is not a number fails a group in training.
        buffer, _ = make_buffer(monkeypatch, lambda task, number: rollouts, drop_uninformative=False, ratio=False)
        sample(buffer)
        assert buffer.controller.metrics()["accuracy"] == {"a": 0.5, "b": 0.5}


def test_every_failed_group_is_recorded_with_its_exception_and_counted(monkeypatch, caplog):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: None, max_resample_rounds=1)
    rollout.error = "Traceback\nKeyError: 'answer_key'"
    assert not buffer.has_sampled
    for steps in (1, 2, 3):
        with pytest.raises(EmptyBatch):
            sample(buffer)
        assert buffer.controller.streaks.failing == steps
        assert buffer.record.errors == {0: rollout.error, 1: rollout.error} and buffer.has_sampled
    assert "(KeyError: 'answer_key')" in caplog.text
    rollout.outcome = lambda task, number: MIXED if task else None
    sample(buffer)
    assert buffer.controller.streaks.failing == 0
    assert buffer.controller.metrics()["failing_steps"] == {"a": 4.0, "b": 0.0}


def test_a_validation_batch_of_which_nothing_is_left_names_the_first_exception(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED)
    rollout.validate("p", None)
    rollout.validation["p"][failures.ERROR] = "Traceback\nKeyError: 'answer_key'"
    with pytest.raises(ValidationFailed, match="All 1 prompts of a validation batch failed at step 4") as raised:
        buffer.sample(global_steps=4, partition_id="val", batch_size=1)
    assert str(raised.value).endswith("\nKeyError: 'answer_key'")


def test_validation_prompts_that_failed_are_counted_and_named(monkeypatch, caplog):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED)
    rollout.validate("p", [RIGHT, WRONG])
    rollout.validate("q", None)
    buffer.sample(global_steps=4, partition_id="val", batch_size=2)
    assert "Validation at step 4: 1 of 2 prompts failed" in caplog.text and "uid=q" in caplog.text
    assert buffer.take_validated() == {"p": [1.0, 0.0]}
