"""The object that holds the state: what it decides, what it logs, and that it resumes exactly."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.controller import StateMismatch, TaskController
from mt_grpo_recipe.algorithm.ratio_sampler import Outcome, RoundsSampler, Selection
from mt_grpo_recipe.algorithm.streaming_sampler import StreamingSampler
from mt_grpo_recipe.config.schema import ConfigError, MTGRPOConfig, SamplerConfig, WeightsConfig

TASKS = ["countdown", "zebra", "arc"]
KEEPS = [0.3, 0.7, 0.55]


def make(tasks=None, batch_size=8, **settings):
    return TaskController(tasks or TASKS, batch_size, MTGRPOConfig(**settings))


def selection(quota, chosen, finished, filtered, failed=(0, 0, 0)):
    """What a step brought, given by task."""
    quota_K, chosen_K, finished_K = np.array(quota), np.array(chosen), np.array(finished)
    return Selection(
        launch_ids=list(range(int(chosen_K.sum()))),
        quota_K=quota_K,
        chosen_K=chosen_K,
        shortfall_K=np.maximum(quota_K - chosen_K, 0),
        launched_K=finished_K + np.array(failed),
        finished_K=finished_K,
        filtered_K=np.array(filtered),
        failed_K=np.array(failed),
        rounds=1,
    )


def train(controller, drive, world, steps):
    """Run whole steps; return every decision taken."""
    decisions = []
    for _ in range(steps):
        sampler = controller.begin_step()
        run = drive(
            sampler,
            lambda _, task: Outcome.INFORMATIVE if world.random() < KEEPS[task] else Outcome.FILTERED,
            world,
        )
        controller.observe(run.selection, run.selection.finished_K * world.random(len(KEEPS)))
        controller.update_weights(world.normal(scale=0.05, size=len(KEEPS)))
        decisions.append((run.asks, run.selection.launch_ids, controller.weights_K.tolist()))
    return decisions


def test_weights_start_even_and_the_weak_task_gains():
    controller = make(weights=WeightsConfig(trade_off=1.0))
    assert controller.weights_K == pytest.approx([1 / 3] * 3)
    controller.begin_step()
    controller.observe(selection([3, 3, 2], [3, 3, 2], [6, 6, 4], [3, 3, 2]), np.array([6.0, 3.0, 0.4]))
    # J = 1, 0.5, 0.1; mean 0.5333: g > 0, < 0, < 0; a first AdamW step moves each logit by 0.025 the other way.
    # softmax(-0.025, 0.025, 0.025): e^0.05 = 1.0512711; 1 / (1 + 2 * 1.0512711) = 1 / 3.1025422 = 0.3223163
    controller.update_weights(np.zeros(3))
    assert controller.weights_K == pytest.approx([0.3223163, 0.3388418, 0.3388418], abs=1e-6)


def test_metrics_of_a_step_leave_out_tasks_without_a_value():
    controller = make()
    controller.begin_step()
    # zebra was never generated; arc's groups all failed.
    step = selection([4, 0, 4], [3, 0, 0], [8, 0, 0], [5, 0, 0], failed=(0, 0, 6))
    controller.observe(step, np.array([2.0, 0.0, 0.0]))
    controller.update_weights(np.array([0.03, math.nan, math.nan]))
    metrics = controller.metrics()
    assert metrics["weight"] == pytest.approx(dict.fromkeys(TASKS, 1 / 3))
    assert metrics["target_share"] == {"countdown": 0.5, "zebra": 0.0, "arc": 0.5}
    assert metrics["batch_share"] == {"countdown": 1.0, "zebra": 0.0, "arc": 0.0}
    assert metrics["zero_grad_rate"] == {"countdown": 5 / 8}
    assert metrics["accuracy"] == {"countdown": 0.25}
    assert metrics["improvement"] == {"countdown": 0.03}
    assert metrics["generated"] == {"countdown": 8.0, "zebra": 0.0, "arc": 6.0}
    assert metrics["shortfall"] == {"countdown": 1.0, "zebra": 0.0, "arc": 4.0}


def test_the_next_step_does_not_show_the_numbers_of_the_last():
    controller = make()
    controller.begin_step()
    controller.observe(selection([4, 2, 2], [4, 2, 2], [8, 4, 4], [4, 2, 2]), np.array([4.0, 2.0, 2.0]))
    controller.begin_step()
    assert list(controller.metrics()) == ["weight"]


def test_an_empty_step_is_survived():
    controller = make()
    controller.begin_step()
    controller.observe(selection([4, 2, 2], [0, 0, 0], [0, 0, 0], [0, 0, 0]), np.zeros(3))
    controller.update_weights(np.full(3, math.nan))
    assert controller.weights_K == pytest.approx([1 / 3] * 3)
    assert controller.metrics()["accuracy"] == {}


def test_a_task_never_seen_is_pushed_neither_way():
    controller = make(weights=WeightsConfig(trade_off=1.0))
    controller.begin_step()
    controller.observe(selection([4, 4, 0], [4, 4, 0], [8, 8, 0], [4, 4, 0]), np.array([8.0, 0.0, 0.0]))
    # J = 1, 0 and the mean 0.5 for arc: s - mean = 0.5, -0.5, 0, so arc's logit has no gradient.
    controller.update_weights(np.zeros(3))
    weights_K = controller.weights_K
    assert weights_K[0] < weights_K[2] < weights_K[1]
    assert weights_K[2] == pytest.approx(1 / 3, abs=1e-3)


def test_accuracy_is_averaged_over_steps_when_asked():
    controller = make(weights=WeightsConfig(accuracy_decay=0.5))
    for correct in (8.0, 0.0):
        controller.begin_step()
        controller.observe(selection([4, 4, 0], [4, 4, 0], [8, 8, 0], [4, 4, 0]), np.array([correct, 2.0, 0.0]))
    # countdown: first value 1, then 0.5 * 1 + 0.5 * 0; zebra 0.25 twice; the log shows the step alone.
    assert controller.state_dict()["accuracy"] == [0.5, 0.25, None]
    assert controller.metrics()["accuracy"] == {"countdown": 0.0, "zebra": 0.25}


def test_loss_weights():
    step = selection([4, 2, 2], [4, 4, 0], [8, 4, 4], [4, 0, 4])
    assert make().loss_weights_K(step) is None
    # Targets 1/2, 1/4, 1/4 over shares 1/2, 1/2, 0
    residual = make(loss_weighting="residual").loss_weights_K(step)
    assert residual is not None
    assert residual == pytest.approx([1.0, 0.5, 0.0])
    by_task = make(
        loss_weighting="task",
        weights=WeightsConfig(rule="fixed", initial=[0.5, 0.3, 0.2]),
        sampler=SamplerConfig(ratio=False, filter="off"),
    )
    # K z_k
    weights_K = by_task.loss_weights_K(step)
    assert weights_K is not None
    assert weights_K == pytest.approx([1.5, 0.9, 0.6])


def test_weighting_the_loss_by_task_samples_the_tasks_alike():
    controller = make(
        batch_size=6,
        loss_weighting="task",
        weights=WeightsConfig(rule="fixed", initial=[0.8, 0.1, 0.1]),
        sampler=SamplerConfig(ratio=False, filter="off", quota="stratified"),
    )
    assert controller.begin_step().quota_K.tolist() == [2, 2, 2]


def test_initial_weights_of_another_number_of_tasks_are_refused():
    with pytest.raises(ConfigError, match="2 numbers for 3 tasks"):
        make(weights=WeightsConfig(rule="fixed", initial=[0.5, 0.5]))


@pytest.mark.parametrize("schedule", ["rounds", "streaming"])
@pytest.mark.parametrize("rule", ["improvement_aware", "regularized", "fixed", "sec", "sequential"])
def test_a_resumed_run_decides_exactly_alike(rule, schedule, drive):
    stages = [[task] for task in TASKS] if rule == "sequential" else None
    settings = {
        "weights": WeightsConfig(rule=rule, stages=stages, stage_steps=3),
        "sampler": SamplerConfig(schedule=schedule),
        "seed": 7,
    }
    controller = make(**settings)
    train(controller, drive, np.random.default_rng(1), steps=5)
    saved = json.dumps(controller.state_dict())
    expected = train(controller, drive, np.random.default_rng(2), steps=5)
    resumed = make(**settings)
    resumed.load_state_dict(json.loads(saved))
    assert train(resumed, drive, np.random.default_rng(2), steps=5) == expected
    assert resumed.state_dict() == controller.state_dict()


def test_loading_into_a_run_that_went_on_takes_it_back(drive):
    controller = make()
    saved = json.loads(json.dumps(controller.state_dict()))
    first = train(controller, drive, np.random.default_rng(3), steps=3)
    controller.load_state_dict(saved)
    assert train(controller, drive, np.random.default_rng(3), steps=3) == first


def test_seeds_draw_differently():
    quotas = {tuple(make(batch_size=64, seed=seed).begin_step().quota_K) for seed in range(8)}
    assert len(quotas) > 1


def test_stages_that_name_no_task_of_the_run_are_refused():
    with pytest.raises(ConfigError, match=r"stages names \['chess'\]; the tasks of this run are \['countdown'"):
        make(weights=WeightsConfig(rule="sequential", stages=[["arc"], ["chess"]]))


def test_a_sequential_run_draws_from_the_stage_alone():
    controller = make(weights=WeightsConfig(rule="sequential", stages=[["arc"], ["countdown", "zebra"]], stage_steps=1))
    assert controller.begin_step().quota_K.tolist() == [0, 0, 8]
    controller.update_weights(np.full(3, math.nan))
    assert controller.begin_step().quota_K[2] == 0
    assert "improvement" not in controller.metrics()


def test_the_ratio_is_kept_from_the_step_that_was_named(drive):
    sampler_config = SamplerConfig(quota="rounded", ratio_from_step=2)
    controller = make(batch_size=6, sampler=sampler_config)
    chosen = []
    for _ in range(2):
        # Task 0 fills the batch where nothing holds it back: the others lose nine groups in ten.
        rng = np.random.default_rng(0)
        run = drive(
            controller.begin_step(),
            lambda _, task, rng=rng: Outcome.INFORMATIVE if task == 0 or rng.random() < 0.1 else Outcome.FILTERED,
            rng,
        )
        chosen.append(run.selection.chosen_K.tolist())
    assert chosen[0][0] > 2
    assert chosen[1] == [2, 2, 2]


def test_groups_without_a_gradient_that_no_filter_took_are_told_apart():
    controller = make(sampler=SamplerConfig(filter="off", ratio=False))
    controller.begin_step()
    step = selection([4, 2, 2], [4, 2, 2], [4, 2, 2], [0, 0, 0])
    controller.observe(step, np.array([2.0, 2.0, 0.0]), np.array([1, 2, 0]), np.array([1, 2, 0]))
    # 1 of 4, 2 of 2, 0 of 2 are flat; what is left of the batch is 3, 0 and 2 of 5.
    assert controller.metrics()["zero_grad_rate"] == {"countdown": 0.25, "zebra": 1.0, "arc": 0.0}
    assert controller.metrics()["batch_share"] == {"countdown": 0.6, "zebra": 0.0, "arc": 0.4}


@pytest.mark.parametrize(("schedule", "kind"), [("rounds", RoundsSampler), ("streaming", StreamingSampler)])
def test_the_schedule_picks_the_sampler(schedule, kind):
    assert isinstance(make(sampler=SamplerConfig(schedule=schedule)).begin_step(), kind)


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ({"tasks": ["countdown", "arc"]}, [r"\['countdown', 'arc'\]", r"\['countdown', 'zebra', 'arc'\]"]),
        ({"tasks": ["zebra", "countdown", "arc"]}, [r"\['zebra', 'countdown', 'arc'\]"]),
        ({"batch_size": 16}, ["batch_size: the checkpoint has 16, this run has 8"]),
        ({"seed": 3}, ["seed: the checkpoint has 3, this run has 0"]),
        ({"weights": WeightsConfig(rule="regularized")}, ["'regularized'", "'improvement_aware'"]),
    ],
)
def test_a_checkpoint_of_another_set_up_is_refused_and_both_are_named(theirs, named):
    controller = make()
    before = controller.state_dict()
    for pattern in named:
        with pytest.raises(StateMismatch, match=pattern):
            controller.load_state_dict(make(**theirs).state_dict())
    assert controller.state_dict() == before


def test_something_that_is_no_state_is_refused():
    with pytest.raises(StateMismatch, match="version: the checkpoint has None"):
        make().load_state_dict({})
