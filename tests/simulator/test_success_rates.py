"""Groups of rollouts that succeed or fail: what the samplers cost in rollouts, and what they train on."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.samplers import Step, make_sampler
from mt_grpo_recipe.algorithm.settings import BudgetSettings, StreamingSettings
from mt_grpo_recipe.simulator.cli import add_arguments, run
from mt_grpo_recipe.simulator.engine import run_step, sampler_settings, simulate
from mt_grpo_recipe.simulator.world import SuccessRates, World

THREE = np.array([0.43, 0.11, 0.46])
NINE = np.array([0.2, 0.15, 0.14, 0.12, 0.1, 0.09, 0.08, 0.07, 0.05])
NINE_RATES = (0.7, 0.6, 0.5, 0.45, 0.4, 0.3, 0.5, 0.65, 0.35)


def zero_grad_rate(rates, group_size):
    """Probability that no rollout or every rollout succeeds: beta-binomial, with the hopeless prompts on top."""
    a, b, n = rates.a, rates.b, group_size
    all_fail = math.lgamma(b + n) + math.lgamma(a + b) - math.lgamma(b) - math.lgamma(a + b + n)
    all_succeed = math.lgamma(a + n) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(a + b + n)
    return rates.hopeless + (1 - rates.hopeless) * (math.exp(all_fail) + math.exp(all_succeed))


def rates_with(zero_grad, group_size, mean=0.5, hopeless=0.0):
    """Success rates of this mean (the hopeless left out) under which the filter drops this share; by bisection."""
    low, high = 1e-4, 1e4
    for _ in range(80):
        size = math.sqrt(low * high)
        rates = SuccessRates(size * mean, size * (1 - mean), hopeless)
        low, high = (size, high) if zero_grad_rate(rates, group_size) > zero_grad else (low, size)
    return rates


def three_tasks(seed, steps=500):
    # A hard task with three hopeless prompts in ten, one that is mostly solved, one in between.
    rates = [rates_with(0.7, 72, mean=0.2, hopeless=0.3), rates_with(0.3, 72, mean=2 / 3), rates_with(0.45, 72)]
    return World(THREE, None, batch_size=32, slots=64, steps=steps, seed=seed, group_size=72, success_rates=rates)


def nine_tasks(seed):
    rates, settings = [rates_with(rate, 8) for rate in NINE_RATES], StreamingSettings(max_resample_rounds=2)
    return World(NINE, None, batch_size=256, slots=64, steps=60, seed=seed, sampler=settings, success_rates=rates)


def test_the_share_of_groups_without_a_gradient_by_hand():
    # Beta(1, 1): 0 to n successes are all equally likely, so two cases in n + 1 carry no gradient.
    assert zero_grad_rate(SuccessRates(1, 1), 7) == pytest.approx(2 / 8)
    assert zero_grad_rate(SuccessRates(1, 1, 0.5), 7) == pytest.approx(0.5 + 0.5 * 2 / 8)
    assert zero_grad_rate(rates_with(0.7, 72, mean=0.2, hopeless=0.3), 72) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("rates", "group_size"),
    [
        (SuccessRates(1, 1), 7),
        (SuccessRates(0.5, 2, 0.3), 72),
        (SuccessRates(8, 0.12, 0.05), 16),
        (SuccessRates(2, 2, 1.0), 8),
        (rates_with(0.7, 72, mean=0.2, hopeless=0.3), 72),
    ],
)
def test_drawn_groups_lose_their_gradient_as_often_as_the_formula_says(rates, group_size):
    informative = rates.draw_informative(np.random.default_rng(0), 40_000, group_size)
    assert 1 - informative.mean() == pytest.approx(zero_grad_rate(rates, group_size), abs=0.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_lean_trains_on_all_that_is_informative_for_the_least_rollouts(seed):
    lean, streaming, rounds = (simulate(name, three_tasks(seed)) for name in ("lean", "streaming", "rounds"))
    assert lean["prompts_per_step"] == 32
    assert lean["rollouts_per_step"] == 32 * 72
    assert lean["trained_over_informative"] >= 0.95
    assert lean["cumulated_share_error"] <= 0.01
    assert lean["rollouts_per_trained_group"] <= 0.87 * streaming["rollouts_per_trained_group"]
    assert lean["rollouts_per_trained_group"] <= 0.55 * rounds["rollouts_per_trained_group"]


def test_lean_costs_less_than_streaming_on_nine_tasks_too():
    lean, streaming = (simulate(name, nine_tasks(seed=0)) for name in ("lean", "streaming"))
    assert lean["trained_over_informative"] >= 0.95
    assert lean["cumulated_share_error"] <= 0.01
    assert lean["rollouts_per_trained_group"] <= 0.95 * streaming["rollouts_per_trained_group"]


def test_what_a_step_owes_is_made_up_for_by_the_next_ones():
    # About 13 groups per step in 500 steps: drawn afresh each step, the counts would wander off by tens of groups.
    row = simulate("budget", three_tasks(seed=0))
    trained = 500 * row["rollouts_per_step"] / row["rollouts_per_trained_group"]
    assert trained > 6000
    assert row["cumulated_share_error"] * trained < 10
    assert 0 < row["max_share_error"] < 0.3


def test_lean_is_the_shipped_method_and_the_others_are_what_is_given():
    given = StreamingSettings(max_inflation=9.0, acceptance_decay=0.5, surplus="abort")
    assert sampler_settings("lean", given) == BudgetSettings()
    assert sampler_settings("budget", given) == BudgetSettings(max_inflation=9.0, acceptance_decay=0.5)
    assert sampler_settings("dapo-streaming", given) == replace(given, ratio=False)


def test_without_shares_to_keep_streaming_wastes_least_of_what_a_fixed_batch_costs():
    world = three_tasks(seed=0, steps=100)
    without, streaming, dapo = (simulate(name, world) for name in ("dapo-streaming", "streaming", "dapo"))
    assert without["rollouts_per_trained_group"] < 0.9 * streaming["rollouts_per_trained_group"]
    assert without["rollouts_per_trained_group"] < 0.9 * dapo["rollouts_per_trained_group"]
    assert without["cumulated_share_error"] > 0.1 > 0.02 > streaming["cumulated_share_error"]


def test_the_budget_sampler_favours_neither_short_nor_easy_groups():
    """Hard prompts take longer here, and the tasks differ in both: a choice by who ends first would show."""
    rng, group_size, tracker, owed_K = np.random.default_rng(0), 16, AcceptanceTracker(2, 0.9), None
    generated, trained = [], []
    for number in range(300):
        accuracy_KP = rng.binomial(group_size, rng.beta([[0.4], [2.0]], [[1.0], [0.5]], size=(2, 24))) / group_size
        duration_KP = rng.lognormal(sigma=0.5, size=(2, 24)) * (2 - accuracy_KP)
        informative_KP = (accuracy_KP > 0) & (accuracy_KP < 1)
        groups = [list(zip(*rows, strict=True)) for rows in zip(informative_KP, duration_KP, strict=True)]
        step = Step(np.array([0.6, 0.4]), tracker, BudgetSettings(), 24, rng, owed_K=owed_K, number=number)
        selection, _ = run_step(make_sampler(step), groups, slots=8, drain=True)
        owed_K = selection.owed_K
        next_of_task = [0, 0]
        for launch_id, task in enumerate(selection.groups.task_of):
            place = task, next_of_task[task]
            next_of_task[task] += 1
            if informative_KP[place]:
                generated.append((duration_KP[place], accuracy_KP[place]))
            if launch_id in selection.launch_ids:
                trained.append((duration_KP[place], accuracy_KP[place]))
    assert np.corrcoef(np.array(generated).T)[0, 1] < -0.3
    assert len(trained) > 3000
    assert np.mean(trained, axis=0) == pytest.approx(np.mean(generated, axis=0))


def parse(*argv):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(argv)


def test_the_command_takes_success_rates_once_per_task(capsys):
    tasks = "--weights .5,.5 --success-rates .5,2,.3 --success-rates 2,2 --group-size 16 --steps 3 --json"
    assert run(parse(*tasks.split())) == 0
    rows = {row["sampler"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["lean"]["rollouts_per_step"] == 32 * 16
    assert rows["streaming"]["rollouts_per_step"] == 16 * rows["streaming"]["prompts_per_step"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--weights 1 --success-rates 1,1 --zero-grad-rates .5", "either --zero-grad-rates or --success-rates, not"),
        ("--success-rates 1,1", "3 --weights and 1 --success-rates"),
        ("--weights 1 --success-rates 1,1 --drift .1", "--drift 0.1 moves zero-gradient rates"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        run(parse(*arguments.split()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "is not a,b or a,b,p0"),
        ("1,2,0,4", "is not a,b"),
        ("1,0", "above 0"),
        ("1,1,2", r"p0 must lie in \[0, 1\]"),
    ],
)
def test_success_rates_that_cannot_be_are_refused(text, message, capsys):
    with pytest.raises(SystemExit):
        parse("--success-rates", text)
    assert message.replace("\\", "") in capsys.readouterr().err
