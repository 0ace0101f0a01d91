"""The buffer of asynchronous training over an imitated queue: what goes to the next mini-batch, and what does not."""

import fake_queue
import numpy as np
import pytest
import verl.trainer.ppo.v1.replay_buffer as verl_buffer
from omegaconf import OmegaConf

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.verl_plugin import failures, rollout_rewards
from mt_grpo_recipe.verl_plugin.async_buffer import AsyncTaskReplayBuffer
from mt_grpo_recipe.verl_plugin.replay_buffer import EmptyBatch

RIGHT, WRONG = (1.0, 1.0), (0.1, 0.0)
MIXED = [RIGHT, WRONG, WRONG, RIGHT]
BATCH = 8


def make_buffer(monkeypatch, outcome, window=BATCH, threshold=8, tasks=("a", "b"), **settings):
    sampler = {"schedule": "streaming", "poll_interval_s": 1e-4, "quota": "stratified", **settings}
    config = load_config(OmegaConf.create({"sampler": sampler}))
    rollout = fake_queue.FakeRollout(outcome)
    for module in (rollout_rewards, failures, verl_buffer):
        monkeypatch.setattr(module, "tq", rollout)
    buffer = AsyncTaskReplayBuffer(
        window=window,
        launch=rollout.launch,
        abort=rollout.abort,
        config=config,
        trainer_mode="separate_async",
        trainer_config=OmegaConf.create({}),
        max_off_policy_threshold=threshold,
        max_off_policy_strategy="drop",
        sampler_kwargs=OmegaConf.create({}),
        refill_fn=None,
    )
    buffer.controller = TaskController(list(tasks), BATCH, config, carries_over=True)
    return buffer, rollout


def sample(buffer, rollout):
    """One mini-batch: its groups in order of launch, and what is logged; its rows leave the queue, as after a step."""
    batch, metrics = buffer.sample(global_steps=rollout.step, partition_id="train", batch_size=BATCH)
    rollout.kv_clear(batch.keys, "train")
    rollout.step += 1
    return [int(uid[3:]) for uid in dict.fromkeys(key.split("_")[0] for key in batch.keys)], metrics


def quotas_met(buffer):
    selection = buffer.record.selection
    return selection.chosen_K.tolist() == selection.quota_K.tolist()


def test_quotas_are_exact_with_groups_of_earlier_steps_and_no_group_is_trained_on_twice(monkeypatch):
    rng = np.random.default_rng(0)
    mixed = rng.random(2000) < 0.5
    late = rng.random(2000) < 0.3
    seen = {}

    def outcome(task, number):
        seen[number] = seen.get(number, 0) + 1
        if late[number] and seen[number] < 4:
            return "running"
        return MIXED if mixed[number] else [WRONG] * 4

    buffer, rollout = make_buffer(monkeypatch, outcome, window=2 * BATCH)
    buffer.launch_ahead()
    used = []
    for _ in range(10):
        chosen, metrics = sample(buffer, rollout)
        assert quotas_met(buffer) and len(chosen) == BATCH
        assert chosen == sorted(chosen)
        assert metrics["mt_grpo/held_groups"] >= 2 * BATCH
        used += chosen
    assert len(set(used)) == len(used) == 10 * BATCH
    assert all(mixed[number] for number in used)
    # The queue holds what the buffer holds, and nothing else.
    held = set(buffer.state_dict())
    assert {key.split("_")[0] for key in rollout.items} == held
    assert not buffer._abandoned


def test_every_group_counts_once_in_accuracy_and_in_the_counts(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED if number % 2 else [RIGHT] * 4)
    buffer.launch_ahead()
    finished = launched = 0
    for _ in range(5):
        sample(buffer, rollout)
        finished += buffer.record.selection.finished_K.sum()
        launched += sum(buffer.controller.metrics()["generated"].values())
    # All but the last top-up counts as launched, and all of that has ended.
    assert launched == finished == len(rollout.launched) - sum(buffer.controller.state_dict()["launched_ahead"])


def test_the_first_launched_are_taken_first_and_stock_waits_its_turn(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED, window=3 * BATCH, tasks=("a",))
    buffer.launch_ahead()
    chosen = [sample(buffer, rollout)[0] for _ in range(4)]
    assert chosen == [list(range(BATCH * i, BATCH * (i + 1))) for i in range(4)]


def test_a_mini_batch_does_not_wait_for_what_was_launched_after_its_last_group(monkeypatch):
    buffer, rollout = make_buffer(
        monkeypatch, lambda task, number: "running" if number >= BATCH else MIXED, window=2 * BATCH, tasks=("a",)
    )
    buffer.launch_ahead()
    chosen, _ = sample(buffer, rollout)
    assert chosen == list(range(BATCH))
    assert [group.result for group in buffer.controller.held] == [None] * 2 * BATCH


def test_groups_that_are_too_old_are_dropped_whether_they_ended_or_run(monkeypatch):
    slow = {1, 3}
    buffer, rollout = make_buffer(
        monkeypatch, lambda task, number: "running" if number in slow else MIXED, threshold=2, tasks=("a",)
    )
    buffer.launch_ahead()
    rollout.kv_list()
    rollout.step = 3  # Launched in step 1, these are in their third.
    chosen, metrics = sample(buffer, rollout)
    assert metrics["mt_grpo/stale_groups"] == BATCH
    assert chosen == list(range(BATCH, 2 * BATCH))
    assert {uid for uid in rollout.items if int(uid[3:].split("_")[0]) < BATCH} == {"uid1", "uid3"}
    # What still ran is cleared once it has ended, and never trained on.
    slow.clear()
    chosen, _ = sample(buffer, rollout)
    assert not {"uid1", "uid3"} & rollout.items.keys()
    assert min(chosen) >= BATCH


def test_without_a_threshold_nothing_is_too_old(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED, threshold=None, tasks=("a",))
    buffer.launch_ahead()
    rollout.step = 1000
    assert sample(buffer, rollout)[0] == list(range(BATCH))


def test_a_hopeless_task_ends_within_the_budget_and_the_rest_trains_on(monkeypatch):
    buffer, rollout = make_buffer(
        monkeypatch, lambda task, number: [WRONG] * 4 if task == 0 else MIXED, max_resample_rounds=1
    )
    budget = 3 * BATCH * 2
    buffer.launch_ahead()
    for _ in range(3):
        before = len(rollout.launched)
        chosen, _ = sample(buffer, rollout)
        assert len(rollout.launched) - before <= budget + BATCH
        assert {rollout.launched[number] for number in chosen} == {1}
        assert buffer.record.selection.shortfall_K[0] > 0


def test_no_signal_anywhere_is_an_empty_batch_and_work_goes_on_ahead(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: [RIGHT] * 4, max_resample_rounds=1)
    buffer.launch_ahead()
    with pytest.raises(EmptyBatch):
        sample(buffer, rollout)
    assert len(buffer.state_dict()) == BATCH


def test_rollouts_that_never_end_are_given_up_and_cleared_when_they_do_end(monkeypatch):
    stuck = {0}
    buffer, rollout = make_buffer(
        monkeypatch, lambda task, number: "running" if number in stuck else MIXED, stall_timeout_s=0.05, tasks=("a",)
    )
    buffer.launch_ahead()
    chosen, _ = sample(buffer, rollout)
    assert len(chosen) == BATCH and 0 not in chosen
    assert "uid0" in rollout.items and "uid0" not in buffer.state_dict()
    stuck.clear()
    sample(buffer, rollout)
    assert "uid0" not in rollout.items


def test_rows_of_an_earlier_mini_batch_of_the_step_stay(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED)
    buffer.launch_ahead()
    first, _ = buffer.sample(global_steps=1, partition_id="train", batch_size=BATCH)
    second, _ = buffer.sample(global_steps=1, partition_id="train", batch_size=BATCH)
    assert set(first.keys) | set(second.keys) <= rollout.items.keys()
    assert not set(first.keys) & set(second.keys)


def test_a_restored_buffer_goes_on_with_what_the_queue_still_has(monkeypatch):
    buffer, rollout = make_buffer(monkeypatch, lambda task, number: MIXED, window=2 * BATCH, tasks=("a",))
    buffer.launch_ahead()
    sample(buffer, rollout)
    state = buffer.state_dict()
    assert state == [f"uid{i}" for i in range(BATCH, 3 * BATCH)]
    rollout.kv_clear([f"uid{BATCH}"], "train")
    rollout.items["old_0_0"] = {"status": "success", "seq_len": 5}

    restored, _ = make_buffer(monkeypatch, None, window=2 * BATCH, tasks=("a",))
    monkeypatch.setattr(rollout_rewards, "tq", rollout)
    monkeypatch.setattr(failures, "tq", rollout)
    monkeypatch.setattr(verl_buffer, "tq", rollout)
    restored._launch = rollout.launch
    restored.controller.load_state_dict(buffer.controller.state_dict())
    restored.load_state_dict(state)
    assert "old_0_0" not in rollout.items
    restored.launch_ahead()
    chosen, _ = sample(restored, rollout)
    assert chosen == list(range(BATCH + 1, 2 * BATCH + 1))


def test_without_a_filter_the_mini_batches_hold_their_quotas(monkeypatch):
    buffer, rollout = make_buffer(
        monkeypatch,
        lambda task, number: None if number % 5 == 0 else [WRONG] * 4,
        window=3 * BATCH,
        drop_uninformative=False,
        ratio=False,
    )
    buffer.launch_ahead()
    for _ in range(4):
        chosen, _ = sample(buffer, rollout)
        assert len(chosen) == BATCH and quotas_met(buffer)
        assert buffer.controller.metrics()["batch_share"] == {"a": 0.0, "b": 0.0}
