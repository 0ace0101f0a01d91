"""The object that holds the state: what it decides, what it logs, and that it resumes exactly."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from rule_examples import example_settings

from mt_grpo_recipe.algorithm.controller import StateMismatch, TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupLedger, GroupResult, Outcome
from mt_grpo_recipe.algorithm.samplers.rounds import RoundsSampler
from mt_grpo_recipe.algorithm.samplers.streaming import StreamingSampler
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.settings import (
    RULES,
    SCHEDULES,
    FixedSettings,
    ImprovementAwareSettings,
    MTGRPOConfig,
    RegularizedSettings,
    RoundsSettings,
    SequentialSettings,
    SettingError,
)

TASKS = ["countdown", "zebra", "arc"]
KEEPS = [0.3, 0.7, 0.55]


def make(tasks=None, batch_size=8, **settings):
    tasks = tasks or TASKS
    return TaskController(tasks, batch_size, MTGRPOConfig(**settings), rows_K=[100] * len(tasks))


def result(kept, accuracy=0.5):
    return GroupResult(Outcome.INFORMATIVE if kept else Outcome.FILTERED, accuracy, spread=kept)


def selection(quota, chosen, finished, filtered, correct, failed=(0, 0, 0), flat=(0, 0, 0), spread=(0, 0, 0)):
    """What a step brought, by task: `flat` groups chosen with equal rewards, `spread` filtered with unequal ones."""
    quota_K, chosen_K, finished_K = np.array(quota), np.array(chosen), np.array(finished)
    groups = GroupLedger(len(quota))
    groups.launch(np.repeat(np.arange(len(quota)), chosen_K).tolist())
    return Selection(
        groups=groups,
        launch_ids=list(range(int(chosen_K.sum()))),
        left=[],
        quota_K=quota_K,
        target_share_K=quota_K / quota_K.sum(),
        chosen_K=chosen_K,
        chosen_gradient_K=chosen_K - np.array(flat),
        launched_K=finished_K + np.array(failed),
        finished_K=finished_K,
        filtered_K=np.array(filtered),
        filtered_spread_K=np.array(spread),
        zero_gradient_K=np.array(filtered) - np.array(spread) + np.array(flat),
        failed_K=np.array(failed),
        correct_K=np.array(correct, dtype=np.float64),
        squares_K=np.array(correct, dtype=np.float64) ** 2 / np.maximum(finished_K, 1),
        rounds=1,
    )


def train(controller, drive, world, steps):
    """Run whole steps; return every decision taken."""
    decisions = []
    for _ in range(steps):
        sampler = controller.begin_step()
        run = drive(
            sampler,
            lambda _, task: result(world.random() < KEEPS[task], accuracy=world.random()),
            world,
        )
        controller.observe(run.selection)
        controller.update_weights(world.normal(scale=0.05, size=len(KEEPS)))
        decisions.append((run.asks, run.selection.launch_ids, controller.weights_K.tolist()))
    return decisions


def test_weights_start_even_and_the_weak_task_gains():
    controller = make(weights=ImprovementAwareSettings(trade_off=1.0))
    assert controller.weights_K == pytest.approx([1 / 3] * 3)
    controller.begin_step()
    controller.observe(selection([3, 3, 2], [3, 3, 2], [6, 6, 4], [3, 3, 2], correct=[6.0, 3.0, 0.4]))
    # J = 1, 0.5, 0.1; mean 0.5333: g > 0, < 0, < 0; a first AdamW step moves each logit by 0.025 the other way.
    # softmax(-0.025, 0.025, 0.025): e^0.05 = 1.0512711; 1 / (1 + 2 * 1.0512711) = 1 / 3.1025422 = 0.3223163
    controller.update_weights(np.zeros(3))
    assert controller.weights_K == pytest.approx([0.3223163, 0.3388418, 0.3388418], abs=1e-6)


def test_metrics_of_a_step_leave_out_tasks_without_a_value():
    controller = make()
    controller.begin_step()
    # zebra was never generated; arc's groups all failed.
    step = selection([4, 0, 4], [3, 0, 0], [8, 0, 0], [5, 0, 0], correct=[2.0, 0.0, 0.0], failed=(0, 0, 6))
    controller.observe(step)
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
    controller.observe(selection([4, 2, 2], [4, 2, 2], [8, 4, 4], [4, 2, 2], correct=[4.0, 2.0, 2.0]))
    controller.begin_step()
    assert list(controller.metrics()) == ["weight"]


def test_an_empty_step_is_survived():
    controller = make()
    controller.begin_step()
    controller.observe(selection([4, 2, 2], [0, 0, 0], [0, 0, 0], [0, 0, 0], correct=[0.0, 0.0, 0.0]))
    controller.update_weights(np.full(3, math.nan))
    assert controller.weights_K == pytest.approx([1 / 3] * 3)
    assert controller.metrics()["accuracy"] == {}


def test_a_task_never_seen_is_pushed_neither_way():
    controller = make(weights=ImprovementAwareSettings(trade_off=1.0))
    controller.begin_step()
    controller.observe(selection([4, 4, 0], [4, 4, 0], [8, 8, 0], [4, 4, 0], correct=[8.0, 0.0, 0.0]))
    # J = 1, 0 and the mean 0.5 for arc: s - mean = 0.5, -0.5, 0, so arc's logit has no gradient.
    controller.update_weights(np.zeros(3))
    weights_K = controller.weights_K
    assert weights_K[0] < weights_K[2] < weights_K[1]
    assert weights_K[2] == pytest.approx(1 / 3, abs=1e-3)


def test_accuracy_is_averaged_over_steps_when_asked():
    controller = make(weights=ImprovementAwareSettings(accuracy_decay=0.5))
    for correct in (8.0, 0.0):
        controller.begin_step()
        controller.observe(selection([4, 4, 0], [4, 4, 0], [8, 8, 0], [4, 4, 0], correct=[correct, 2.0, 0.0]))
    # countdown: first value 1, then 0.5 * 1 + 0.5 * 0; zebra 0.25 twice; the log shows the step alone.
    assert controller.state_dict()["accuracy"] == [0.5, 0.25, None]
    assert controller.metrics()["accuracy"] == {"countdown": 0.0, "zebra": 0.25}


def test_loss_weights():
    step = selection([4, 2, 2], [4, 4, 0], [8, 4, 4], [4, 0, 4], correct=[0.0, 0.0, 0.0])
    assert make().loss_weights_K(step) is None
    # Targets 1/2, 1/4, 1/4 over shares 1/2, 1/2, 0
    residual = make(loss_weighting="residual").loss_weights_K(step)
    assert residual is not None
    assert residual == pytest.approx([1.0, 0.5, 0.0])
    by_task = make(
        loss_weighting="task",
        weights=FixedSettings(initial=[0.5, 0.3, 0.2]),
        sampler=RoundsSettings(ratio=False, drop_uninformative=False),
    )
    # K z_k
    weights_K = by_task.loss_weights_K(step)
    assert weights_K is not None
    assert weights_K == pytest.approx([1.5, 0.9, 0.6])


def test_weighting_the_loss_by_task_samples_the_tasks_alike():
    controller = make(
        batch_size=6,
        loss_weighting="task",
        weights=FixedSettings(initial=[0.8, 0.1, 0.1]),
        sampler=RoundsSettings(ratio=False, drop_uninformative=False, quota="stratified"),
    )
    assert controller.begin_step().quota_K.tolist() == [2, 2, 2]


def test_initial_weights_of_another_number_of_tasks_are_refused():
    with pytest.raises(SettingError, match="2 numbers for 3 tasks"):
        make(weights=FixedSettings(initial=[0.5, 0.5]))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_run_decides_exactly_alike(rule, schedule, drive):
    settings = {"weights": example_settings(rule, TASKS), "sampler": SCHEDULES[schedule](), "seed": 7}
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


def test_a_resumed_run_knows_which_task_was_failing(drive):
    def answer(_, task):
        return FAILED_GROUP if task == 0 else GroupResult(Outcome.INFORMATIVE, 0.5, True)

    controller = make(batch_size=12, weights=RegularizedSettings())
    for _ in range(3):
        controller.observe(drive(controller.begin_step(), answer, np.random.default_rng(0)).selection)
    resumed = make(batch_size=12, weights=RegularizedSettings())
    resumed.load_state_dict(json.loads(json.dumps(controller.state_dict())))
    assert resumed.streaks.failing_K.tolist() == controller.streaks.failing_K.tolist() == [3, 0, 0]
    older = controller.state_dict()
    del older["failing_steps"]
    resumed.load_state_dict(older)
    assert resumed.streaks.failing_K.tolist() == [0, 0, 0]


def test_stages_that_name_no_task_of_the_run_are_refused():
    with pytest.raises(SettingError, match=r"stages names \['chess'\]; the tasks of this run are \['countdown'"):
        make(weights=SequentialSettings(stages=[["arc"], ["chess"]]))


def test_a_sequential_run_draws_from_the_stage_alone():
    controller = make(weights=SequentialSettings(stages=[["arc"], ["countdown", "zebra"]], stage_steps=1))
    assert controller.begin_step().quota_K.tolist() == [0, 0, 8]
    controller.update_weights(np.full(3, math.nan))
    assert controller.begin_step().quota_K[2] == 0
    assert "improvement" not in controller.metrics()


def test_the_ratio_is_kept_from_the_step_that_was_named(drive):
    sampler_config = RoundsSettings(quota="rounded", ratio_from_step=2)
    controller = make(batch_size=6, sampler=sampler_config)
    chosen = []
    for _ in range(2):
        # Task 0 fills the batch where nothing holds it back: the others lose nine groups in ten.
        rng = np.random.default_rng(0)
        run = drive(
            controller.begin_step(),
            lambda _, task, rng=rng: result(task == 0 or rng.random() < 0.1),
            rng,
        )
        chosen.append(run.selection.chosen_K.tolist())
    assert chosen[0][0] > 2
    assert chosen[1] == [2, 2, 2]


def test_groups_without_a_gradient_that_no_filter_took_are_told_apart():
    controller = make(sampler=RoundsSettings(drop_uninformative=False, ratio=False))
    controller.begin_step()
    step = selection([4, 2, 2], [4, 2, 2], [4, 2, 2], [0, 0, 0], correct=[2.0, 2.0, 0.0], flat=(1, 2, 0))
    controller.observe(step)
    # 1 of 4, 2 of 2, 0 of 2 are flat; what is left of the batch is 3, 0 and 2 of 5.
    assert controller.metrics()["zero_grad_rate"] == {"countdown": 0.25, "zebra": 1.0, "arc": 0.0}
    assert controller.metrics()["batch_share"] == {"countdown": 0.6, "zebra": 0.0, "arc": 0.4}


def test_a_group_that_is_filtered_although_its_rewards_differ_is_not_called_without_a_gradient():
    controller = make()
    controller.begin_step()
    step = selection([4, 2, 2], [2, 0, 0], [6, 4, 2], [4, 4, 2], correct=[1.0, 0.0, 2.0], spread=(1, 4, 0))
    controller.observe(step)
    assert controller.metrics()["filtered_rate"] == {"countdown": 4 / 6, "zebra": 1.0, "arc": 1.0}
    assert controller.metrics()["zero_grad_rate"] == {"countdown": 3 / 6, "zebra": 0.0, "arc": 1.0}
    assert controller.metrics()["batch_share"] == {"countdown": 1.0, "zebra": 0.0, "arc": 0.0}


@pytest.mark.parametrize(("schedule", "kind"), [("rounds", RoundsSampler), ("streaming", StreamingSampler)])
def test_the_schedule_picks_the_sampler(schedule, kind):
    assert isinstance(make(sampler=SCHEDULES[schedule]()).begin_step(), kind)


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ({"tasks": ["countdown", "arc"]}, [r"\['countdown', 'arc'\]", r"\['countdown', 'zebra', 'arc'\]"]),
        ({"tasks": ["zebra", "countdown", "arc"]}, [r"\['zebra', 'countdown', 'arc'\]"]),
        ({"batch_size": 16}, ["batch_size: the checkpoint has 16, this run has 8"]),
        ({"seed": 3}, ["seed: the checkpoint has 3, this run has 0"]),
        ({"weights": RegularizedSettings()}, ["'regularized'", "'improvement_aware'"]),
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
    with pytest.raises(StateMismatch, match="of format None, this version of mt-grpo-recipe reads format 5"):
        make().load_state_dict({})


@pytest.mark.parametrize(("version", "lacks"), [(1, ("held", "launched_ahead", "tracked")), (3, ("tracked",))])
def test_a_checkpoint_of_an_older_format_is_refused_in_one_sentence(version, lacks):
    controller = make()
    old = {name: value for name, value in controller.state_dict().items() if name not in lacks}
    message = rf"are of format {version}, .* start afresh with trainer\.resume_mode=disable\.$"
    with pytest.raises(StateMismatch, match=message):
        controller.load_state_dict({**old, "version": version})
