"""Bounds of the settings, and what the messages say."""

from __future__ import annotations

import math

import pytest
from omegaconf import OmegaConf
from rule_examples import needed_settings

from mt_grpo_recipe.algorithm.settings import RULES, SCHEDULES, RoundsSettings
from mt_grpo_recipe.config import (
    ConfigError,
    MTGRPOConfig,
    load_config,
    unread_improvement,
    unread_settings,
    validates_as_it_trains,
)


def load(**section):
    return load_config(OmegaConf.create(section))


def test_an_empty_section_is_the_papers_three_task_setting():
    config = load()
    assert config == MTGRPOConfig()
    assert (config.weights.learning_rate, config.weights.weight_decay) == (0.025, 1e-5)
    assert (config.weights.trade_off, config.weights.improvement_clip) == (0.2, 0.1)
    sampler = config.sampler
    assert (sampler.oversample, sampler.max_inflation, sampler.max_resample_rounds) == (3.0, 5.0, 10)
    assert (sampler.informative, sampler.drop_uninformative, sampler.quota) == ("mixed", True, "multinomial")
    assert config.loss_weighting == "none"


def test_a_missing_section_says_what_to_add():
    with pytest.raises(ConfigError, match=r"Add to the command line: \+mt_grpo=mt_grpo"):
        load_config(None)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"weights": {"trade_off": -0.1}}, r"mt_grpo\.weights\.trade_off=-0\.1 cannot be used.*0 or more.*lambda"),
        ({"weights": {"trade_off": math.inf}}, r"weights\.trade_off"),
        ({"weights": {"rule": "sharpest"}}, r"weights\.rule='sharpest'.*fixed, improvement_aware, regularized"),
        ({"weights": {"learning_rate": 0}}, r"weights\.learning_rate"),
        ({"weights": {"learning_rate": math.nan}}, r"weights\.learning_rate"),
        ({"weights": {"weight_decay": -1e-5}}, r"weights\.weight_decay"),
        ({"weights": {"improvement_clip": 0}}, r"weights\.improvement_clip"),
        ({"weights": {"accuracy_decay": 1.0}}, r"weights\.accuracy_decay.*\[0, 1\)"),
        ({"weights": {"initial": [1, 2]}}, r"weights\.initial=\[1, 2\] would have no effect.*rule=improvement_aware"),
        (
            {"weights": {"rule": "fixed", "trade_off": 0.3}},
            r"trade_off=0\.3 would have no effect.*min_share, initial\.",
        ),
        ({"weights": {"rule": "sec", "learning_rate": 0.5}}, r"learning_rate=0\.5 was renamed: use .*weights\.alpha"),
        ({"weights": {"rule": "regularized", "weight_decay": 1e-5}}, r"weight_decay=.* renamed: use .*weights\.eta"),
        ({"sampler": {"filter": "strict"}}, r"filter='strict' was renamed: use .*=mixed for strict.*drop_"),
        ({"sampler": {"surplus": "abort"}}, r"surplus='abort' would have no effect.*schedule=rounds"),
        ({"weights": {"rule": "fixed", "initial": [1, -1]}}, r"weights\.initial.*none negative"),
        ({"weights": {"rule": "fixed", "initial": [0, 0]}}, r"weights\.initial.*not all zero"),
        (
            {"weights": {"rule": "fixed", "initial": [1, 1]}, "tasks": ["a"]},
            r"mt_grpo\.weights\.initial has 2 numbers for 1 task",
        ),
        ({"weights": {"rule": "sec", "alpha": 1.5}}, r"weights\.alpha=1\.5.*at most 1"),
        ({"weights": {"rule": "sec", "temperature": 0}}, r"weights\.temperature"),
        ({"weights": {"rule": "sequential"}}, r"weights\.stages=\[\].*list of lists.*\[\[a\],\[b,c\]\]"),
        ({"weights": {"rule": "sequential", "stages": [["a"], []]}}, r"weights\.stages"),
        ({"weights": {"stages": [["a"]]}}, r"weights\.stages.*would have no effect"),
        ({"weights": {"rule": "sequential", "stages": [["a"]], "stage_steps": 0}}, r"weights\.stage_steps"),
        ({"weights": {"rule": "sec"}, "improvement": {"granularity": "mini_batch"}}, r"improvement\.granularity"),
        ({"rewards": {"correct_at": math.nan}}, r"mt_grpo\.rewards\.correct_at=nan.*finite"),
        ({"rewards": {"range": [1, 0]}, "sampler": {"informative": "spread"}}, r"rewards\.range=\[1.*worst one first"),
        ({"rewards": {"range": [0, 5, 9]}, "sampler": {"informative": "spread"}}, r"rewards\.range"),
        (
            {"rewards": {"range": [0, 1], "correct_at": 0.5}, "sampler": {"informative": "spread"}},
            r"rewards\.correct_at=0\.5 cannot be used with rewards\.range.*leave one of the two out",
        ),
        ({"rewards": {"range": [0, 1]}}, r"mt_grpo\.sampler\.informative='mixed'.*spread with rewards\.range"),
        (
            {"rewards": {"threshold": 1}},
            r"mt_grpo\.rewards\.threshold is unknown; there are mt_grpo\.rewards\.correct_at",
        ),
        ({"weights": {"rule": "dump"}, "improvement": {"granularity": "mini_batch"}}, r"step with weights\.rule=dump"),
        ({"weights": {"min_share": -0.1}}, r"mt_grpo\.weights\.min_share=-0\.1"),
        ({"weights": {"min_share": 0.6}, "tasks": ["a", "b"]}, r"weights\.min_share=0\.6.*at most 1/2 with 2 tasks"),
        ({"weights": {"rule": "dump", "temperature": 0}}, r"weights\.temperature"),
        ({"weights": {"rule": "dump", "window": 0}}, r"weights\.window"),
        ({"weights": {"rule": "gdro", "sharpness": 0}}, r"weights\.sharpness"),
        ({"weights": {"rule": "gdro", "loss_decay": 1}}, r"weights\.loss_decay"),
        ({"weights": {"rule": "gdro", "exploration": 1.1}}, r"weights\.exploration"),
        ({"weights": {"rule": "proportional", "initial": [1, 2]}}, r"initial=.*no effect.*rule=proportional"),
        ({"weights": {"targets": {"a": 0.5}}}, r"targets=.*no effect.*rule=improvement_aware"),
        ({"weights": {"rule": "targets"}}, r"weights\.targets=\{\}.*a dict \{task: accuracy\}, unless floors or"),
        ({"weights": {"rule": "targets", "targets": ["a"]}}, r"weights\.targets=\['a'\] cannot be used.*a dict"),
        ({"weights": {"rule": "targets", "floors": "start"}}, r"weights\.floors='start' cannot be used.*a dict"),
        ({"weights": {"rule": "targets", "targets": {"a": 60}}}, r"targets\[a\]=60\.0.*above 0, at most 1"),
        ({"weights": {"rule": "targets", "targets": {"a": "high"}}}, r"weights\.targets\.a: .*'high'"),
        ({"weights": {"rule": "targets", "floors": {"a": "start - 2"}}}, r"floors\[a\]='start - 2'.*start - 0\.02"),
        ({"weights": {"rule": "targets", "floors": {"a": "start + 0.1"}}}, r"floors\[a\]='start \+ 0\.1'"),
        ({"weights": {"rule": "targets", "floors": {"a": True}}}, r"floors\[a\]=True"),
        ({"weights": {"rule": "targets", "floors": {"a": None}}}, r"floors\[a\]=None"),
        ({"weights": {"rule": "targets", "tolerance": 20}}, r"weights\.tolerance=20.*in \[0, 1\]"),
        ({"weights": {"rule": "targets", "tolerance": 0.1, "patience": 0}}, r"weights\.patience"),
        ({"weights": {"rule": "targets", "tolerance": 0.1, "proportional_gain": -1}}, r"weights\.proportional_gain"),
        (
            {"weights": {"rule": "targets", "floors": {"a": 0.1}, "stop_when_met": True}},
            r"weights\.stop_when_met=True.*floors alone are met at the start",
        ),
        (
            {"weights": {"rule": "targets", "targets": {"a": 0.5}}, "tasks": ["b"]},
            r"mt_grpo\.weights\.targets names \['a'\]; the tasks of this run are \['b'\]",
        ),
        ({"improvement": {"reduction": "max"}}, r"improvement\.reduction"),
        ({"sampler": {"ratio_from_step": 0}}, r"sampler\.ratio_from_step"),
        ({"improvement": {"granularity": "token"}}, r"improvement\.granularity"),
        ({"improvement": {"granularity": "off"}}, r"improvement\.granularity.*improvement_aware"),
        ({"sampler": {"informative": "strict"}}, r"sampler\.informative='strict'.*mixed, spread"),
        ({"sampler": {"drop_uninformative": False}}, r"sampler\.ratio=True.*while sampler\.drop_uninformative=false"),
        ({"sampler": {"quota": "even"}}, r"sampler\.quota"),
        ({"sampler": {"schedule": "waves"}}, r"sampler\.schedule='waves'"),
        ({"sampler": {"oversample": 0.5}}, r"sampler\.oversample=0\.5.*1 or more"),
        ({"sampler": {"oversample": math.inf}}, r"sampler\.oversample"),
        ({"sampler": {"max_inflation": 0.9}}, r"sampler\.max_inflation"),
        ({"sampler": {"max_resample_rounds": -1}}, r"sampler\.max_resample_rounds"),
        ({"sampler": {"schedule": "streaming", "max_inflight": 0.5}}, r"sampler\.max_inflight=0\.5.*1 or more"),
        ({"sampler": {"schedule": "streaming", "safety_margin": -0.1}}, r"sampler\.safety_margin"),
        ({"sampler": {"schedule": "streaming", "surplus": "keep"}}, r"sampler\.surplus='keep'.*drain, abort"),
        ({"sampler": {"acceptance_decay": 1.0}}, r"sampler\.acceptance_decay"),
        ({"improvement": {"probe_fraction": 0}}, r"improvement\.probe_fraction=0"),
        ({"improvement": {"probe_fraction": 0.5, "reduction": "sum"}}, r"probe_fraction.*reduction=sum"),
        ({"sampler": {"poll_interval_s": 0}}, r"sampler\.poll_interval_s"),
        ({"sampler": {"stall_timeout_s": -1}}, r"sampler\.stall_timeout_s"),
        ({"task_key": []}, r"task_key"),
        ({"tasks": []}, r"tasks"),
        ({"tasks": ["a", "a"]}, r"tasks.*distinct"),
        ({"seed": -1}, r"seed"),
        ({"loss_weighting": "all"}, r"loss_weighting"),
        ({"loss_weighting": "task"}, r"loss_weighting.*sampler\.ratio"),
        ({"max_loss_weight": 0.5}, r"max_loss_weight"),
        ({"sampler": {"oversampling": 2}}, r"oversampling"),
        ({"lamda": 0.2}, r"lamda"),
        ({"weights": "iwu"}, r"mt_grpo\.weights='iwu' cannot be used: it is a section"),
        ({"sampler": [1]}, r"mt_grpo\.sampler=\[1\] cannot be used: it is a section"),
        ({"weights": {"rule": ["sec"]}}, r"mt_grpo\.weights\.rule=\['sec'\] cannot be used: it must be one of fixed"),
        (
            {"weight": {"trade_off": 0.3}},
            r"mt_grpo\.weight is unknown; there are mt_grpo\.improvement, .* Did you mean mt_grpo\.weights\?",
        ),
        ({"trade_off": 0.3}, r"mt_grpo\.trade_off is unknown; .* Did you mean mt_grpo\.weights\.trade_off\?"),
        ({"sampler": {"overs": 2}}, r"Did you mean mt_grpo\.sampler\.oversample\?"),
        ({"task_key": "task"}, r"mt_grpo\.task_key='task' cannot be used: it must be a list: \[task\]\."),
        ({"tasks": "arc-mini"}, r"mt_grpo\.tasks='arc-mini' cannot be used: it must be a list: \[arc-mini\]\."),
        ({"tasks": [["a"]]}, r"mt_grpo\.tasks=\[\['a'\]\] cannot be used: each entry must be a single value"),
        (
            {"weights": {"rule": "fixed", "initial": {"arc-mini": 1}}},
            r"mt_grpo\.weights\.initial=\{'arc-mini': 1\} cannot be used: it must be a list: the entries alone",
        ),
        (
            {"weights": {"rule": "sequential", "stages": ["a", "b"]}},
            r"weights\.stages=.* must be a list, such as \[\[a\]",
        ),
        ({"weights": {"rule": "sequential", "stages": "a"}}, r"weights\.stages='a'.* must be a list of lists"),
        ({"seed": {"a": 1}}, r"mt_grpo\.seed: Value "),
        ({"sampler": {"schedule": "budget", "quota": "even"}}, r"sampler\.quota='even'"),
        ({"sampler": {"schedule": "budget", "oversample": "many"}}, r"oversample"),
        ({"sampler": {"oversample": "many"}}, r"oversample"),
    ],
)
def test_a_bad_setting_is_refused_and_named(section, message):
    with pytest.raises(ConfigError, match=message):
        load(**section)


def test_the_budget_is_the_first_round_and_every_resampling_round():
    # 2.5 * 3 = 7.5 -> 8 groups a round, 1 + 2 rounds
    sampler = RoundsSettings(oversample=2.5, max_resample_rounds=2)
    assert (sampler.round_size(3), sampler.budget(3)) == (8, 24)
    unfiltered = RoundsSettings(drop_uninformative=False, ratio=False, max_resample_rounds=2)
    assert (unfiltered.round_size(3), unfiltered.budget(3)) == (3, 9)


def test_loss_weighting_by_task_goes_with_unweighted_sampling():
    assert load(loss_weighting="task", sampler={"ratio": False, "drop_uninformative": False}).loss_weighting == "task"


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_loaded_with_its_own_fields(rule):
    needed = needed_settings(rule, ["a", "b"])
    every_field = {name: None for settings in RULES.values() for name in settings.__dataclass_fields__}
    assert load(weights={**every_field, "rule": rule, **needed}).weights == RULES[rule](**needed)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_is_loaded_with_its_own_fields(schedule):
    every_field = {name: None for settings in SCHEDULES.values() for name in settings.__dataclass_fields__}
    assert load(sampler={**every_field, "schedule": schedule}).sampler == SCHEDULES[schedule]()


def test_what_a_schedule_does_not_read_is_said():
    assert unread_settings(load()) is None
    sentence = unread_settings(load(sampler={"schedule": "budget", "max_resample_rounds": 2}))
    assert "schedule=budget does not read mt_grpo.sampler.quota, mt_grpo.sampler.oversample, " in sentence


@pytest.mark.parametrize("rule", RULES)
def test_what_is_set_of_an_improvement_that_no_rule_reads_is_said(rule):
    weights = {"rule": rule, **needed_settings(rule, ["a", "b"])}
    assert unread_improvement(load(weights=weights)) is None
    sentence = unread_improvement(load(weights=weights, improvement={"reduction": "sum"}))
    expected = f"mt_grpo.improvement.reduction=sum has no effect: mt_grpo.weights.rule={rule} does not read the "
    assert sentence is None if rule == "improvement_aware" else sentence.startswith(expected)


def test_whole_numbers_become_what_the_field_holds():
    config = load(weights={"rule": "fixed", "initial": [1, 1]}, sampler={"oversample": 2})
    assert config.weights.initial == [1.0, 1.0]
    assert isinstance(config.sampler.oversample, float)


@pytest.mark.parametrize(
    ("given", "floor"),
    [
        ("start", (0.0, True)),
        ("start - 0.02", (0.02, True)),
        (" start-.5 ", (0.5, True)),
        (0.3, (0.3, False)),
        (1, (1.0, False)),
        ("0.3", (0.3, False)),
    ],
)
def test_a_floor_is_an_accuracy_or_counts_from_the_start(given, floor):
    weights = load(weights={"rule": "targets", "floors": {"a": given}}).weights
    assert weights.bounds_of(["a", "b"]) == [(None, floor), (None, None)]


@pytest.mark.parametrize(
    ("changed", "alike"),
    [
        ({}, True),
        ({"do_sample": True}, True),
        ({"temperature": 0.6}, False),
        ({"temperature": 0, "do_sample": True}, False),
        ({"top_p": 0.7}, False),
        ({"top_k": 20}, False),
    ],
)
def test_validation_samples_as_training_does_or_not(changed, alike):
    sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": -1}
    rollout = OmegaConf.create({**sampling, "val_kwargs": {**sampling, "do_sample": False, **changed}})
    assert validates_as_it_trains(rollout) == alike
