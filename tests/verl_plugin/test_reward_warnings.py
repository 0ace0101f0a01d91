"""Rewards that are not 0 or 1: what is trained on, what J_k is, and what is warned of once."""

import logging

import pytest
from buffers import MALFORMED, MISSING, MIXED, RIGHT, WRONG, make_buffer, sample

from mt_grpo_recipe.verl_plugin.replay_buffer import EmptyBatch


def graded(*scores):
    """A group whose reward function returns one number, which verl passes on as `acc` as well."""
    return [(score, score) for score in scores]


PARTIAL = graded(0.05, 0.9, 0.3, 0.95)


def said(buffer, steps, caplog):
    """The errors that these many steps log."""
    with caplog.at_level(logging.ERROR):
        for _ in range(steps):
            try:
                batch = sample(buffer)
            except EmptyBatch:
                continue
            buffer._clear_groups("train", {key.split("_")[0] for key in batch.keys})
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def test_a_task_that_is_dropped_although_its_rewards_differ_is_named_once_with_the_setting(monkeypatch, caplog):
    buffer, _ = make_buffer(monkeypatch, lambda task, number: MIXED if task else PARTIAL, max_resample_rounds=1)
    assert said(buffer, 2, caplog) == []
    (message,) = said(buffer, 6, caplog)
    assert message.startswith("Task 'a': in each of the last 3 steps the filter dropped every group that finished")
    assert "set mt_grpo.sampler.informative=spread" in message and "mt_grpo.rewards.range=[worst,best]" in message
    assert "mt_grpo.rewards.correct_at=1" in message and "from 0.05 to 0.95" in message
    metrics = buffer.controller.metrics()
    assert metrics["filtered_rate"] == {"a": 1.0, "b": 0.0}
    assert metrics["zero_grad_rate"] == {"a": 0.0, "b": 0.0}


@pytest.mark.parametrize("rewards", [[WRONG] * 4, [RIGHT] * 4, MIXED])
def test_the_rewards_of_the_paper_without_spread_in_format_are_no_matter(monkeypatch, caplog, rewards):
    buffer, _ = make_buffer(monkeypatch, lambda task, number: MIXED if task else rewards, max_resample_rounds=1)
    assert said(buffer, 5, caplog) == []


def test_a_task_too_hard_so_far_is_told_that_this_may_be_right(monkeypatch, caplog):
    hard = [WRONG, MALFORMED, WRONG, WRONG]
    buffer, _ = make_buffer(monkeypatch, lambda task, number: MIXED if task else hard, max_resample_rounds=1)
    (message,) = said(buffer, 4, caplog)
    assert "If the rewards differ in format alone, as 0.1 and 0 do" in message


def test_graded_rewards_are_trained_on_by_their_spread_with_their_mean_as_accuracy(monkeypatch, caplog):
    buffer, rollout = make_buffer(
        monkeypatch,
        lambda task, number: graded(0.0, 10.0, 2.5, 7.5) if task else graded(4.0, 4.0, 4.0, 4.0),
        rewards={"range": [0, 10]},
        informative="spread",
        max_resample_rounds=1,
    )
    assert said(buffer, 4, caplog) == []
    metrics = buffer.controller.metrics()
    assert metrics["accuracy"] == pytest.approx({"a": 0.4, "b": 0.5})
    assert metrics["trained"] == {"a": 0, "b": 8} and metrics["zero_grad_rate"] == {"a": 1.0, "b": 0.0}
    rollout.validate("p", graded(2.0, 12.0))
    buffer.sample(global_steps=1, partition_id="val", batch_size=1)
    assert buffer.take_validated() == {"p": [0.2, 1.0]}


def test_a_threshold_makes_right_and_wrong_of_graded_rewards(monkeypatch, caplog):
    buffer, _ = make_buffer(monkeypatch, lambda task, number: PARTIAL, rewards={"correct_at": 0.9})
    assert said(buffer, 4, caplog) == []
    assert buffer.controller.metrics()["accuracy"] == {"a": 0.5, "b": 0.5}
    assert buffer.controller.metrics()["filtered_rate"] == {"a": 0.0, "b": 0.0}


def test_minus_one_and_one_are_wrong_and_right(monkeypatch, caplog):
    buffer, _ = make_buffer(monkeypatch, lambda task, number: graded(1.0, -1.0, -1.0, -1.0))
    assert said(buffer, 4, caplog) == []
    assert buffer.controller.metrics()["accuracy"] == {"a": 0.25, "b": 0.25}


def test_rewards_that_are_told_apart_and_never_right_are_named_once(monkeypatch, caplog):
    buffer, _ = make_buffer(monkeypatch, lambda task, number: MIXED if task else PARTIAL, informative="spread")
    (message,) = said(buffer, 6, caplog)
    assert message.startswith("Task 'a': no rollout was right in the last 3 steps, so J_k is 0")
    assert "mt_grpo.rewards.range=[worst,best]" in message


@pytest.mark.parametrize(
    ("rewards", "settings", "text"),
    [
        (None, {}, "returned 7, and everything from mt_grpo.rewards.correct_at=1 on counts as right"),
        ({"range": [0, 5]}, {"informative": "spread"}, r"returned 7, outside mt_grpo.rewards.range=[0.0, 5.0]"),
    ],
)
def test_numbers_off_the_scale_are_named_once(monkeypatch, caplog, rewards, settings, text):
    buffer, _ = make_buffer(
        monkeypatch, lambda task, number: MIXED if task else graded(0.0, 7.0, 3.0, 0.0), rewards=rewards, **settings
    )
    (message,) = said(buffer, 4, caplog)
    assert message.startswith("Task 'a': its reward function") and text in message


@pytest.mark.parametrize("acc", ["yes", float("nan")])
def test_an_acc_that_is_no_number_fails_its_group_in_training_and_is_wrong_at_validation(monkeypatch, caplog, acc):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED if task else [RIGHT, (1.0, acc)])
    sample(buffer)
    assert buffer.record.errors == {0: "it has no output, or one of its rewards or `acc` values is not a finite number"}
    rollout.validate("p", [(1.0, acc), (1.0, MISSING)])
    buffer.sample(global_steps=1, partition_id="val", batch_size=1)
    assert buffer.take_validated() == {"p": [0.0, 1.0]}
