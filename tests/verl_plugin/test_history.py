"""Steps of the buffer over an imitated queue: their replay selects and logs what they did."""

import itertools
import random

import pytest
from buffers import make_buffer

from mt_grpo_recipe.algorithm.step_metrics import step_metrics
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.history.reading import read_history
from mt_grpo_recipe.history.record import History
from mt_grpo_recipe.simulator.replay import check_record, replay
from mt_grpo_recipe.simulator.replay_cli import settings_of
from mt_grpo_recipe.verl_plugin.replay_buffer import EmptyBatch

RIGHT, WRONG = (1.0, 1.0), (0.1, 0.0)
STEPS = 6


def outcomes(seed):
    """Groups of three tasks that end after one to six polls: some mixed, some flat, some failed."""
    chance = random.Random(seed)
    polls = {}

    def outcome(task, number):
        left, result = polls.setdefault(
            number,
            [
                chance.randint(1, 6),
                chance.choices([[RIGHT, WRONG], [WRONG] * 2, [RIGHT] * 2, None], [3, 2 * task + 1, 1, 0.5])[0],
            ],
        )
        polls[number][0] = left - 1
        return "running" if left > 1 else result

    return outcome


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "streaming"},
        {"schedule": "streaming", "surplus": "abort", "safety_margin": 1.0},
        {"schedule": "streaming", "max_inflight": 1.0, "max_resample_rounds": 1, "ratio_from_step": 3},
        {"schedule": "rounds", "max_resample_rounds": 2},
        {"schedule": "budget", "quota": None},
        {"schedule": "rounds", "informative": "spread", "drop_uninformative": False, "ratio": False},
    ],
)
def test_a_replay_does_what_the_steps_did(monkeypatch, tmp_path, settings):
    tasks = ("a", "b", "c")
    buffer, rollout = make_buffer(monkeypatch, outcomes(1), tasks=tasks, batch_size=12, **settings)
    config = load_config({"sampler": {"quota": "stratified", "poll_interval_s": 1e-4} | settings})
    history = History(tmp_path, buffer.controller, config)
    history.resume(0)
    slugs = dict(zip(tasks, tasks, strict=True))
    logged = []
    for step in range(1, STEPS + 1):
        rollout.step = step
        weights_K = buffer.controller.weights_K
        try:
            buffer.sample(global_steps=step, partition_id="train", batch_size=12)
        except EmptyBatch:
            pytest.fail("the outcomes are to leave something to train on")
        record = buffer.record
        history.append(step, weights_K, record.selection, record.timeline, list(range(step)))
        logged.append(step_metrics(buffer.controller, record.selection, slugs, skipped=False))
        rollout.kv_clear(list(rollout.items), "train")
        rollout._started.clear()
        buffer.controller.update_weights(0.1 * weights_K)

    run = read_history(tmp_path)
    steps = list(replay(run, settings_of(run, [])))
    check_record(run, steps)
    assert [step.metrics for step in steps] == logged
    assert all(step.drawn == 0 for step in steps)
    launches = [len(step.groups) for step in run.steps]
    assert sum(launches) == len(rollout.launched)
    stopped = [group for step in run.steps for group in step.groups if group.ended is None]
    assert bool(stopped) == (settings.get("surplus") == "abort")
    # Groups are launched when others have just ended, or at the start of the step.
    for step in run.steps:
        ends = {0, *(group.ended for group in step.groups)}
        assert {group.launched for group in step.groups} <= ends
        assert [a.launched <= b.launched for a, b in itertools.pairwise(step.groups)].count(False) == 0
