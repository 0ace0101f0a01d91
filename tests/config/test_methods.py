"""Every shipped method composes into verl's config, and does what its name says."""

from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

import mt_grpo_recipe.config
from mt_grpo_recipe.algorithm.settings import RULES, SCHEDULES, GeneralSettings, ImprovementSettings, RewardSettings
from mt_grpo_recipe.config import ConfigError, MTGRPOConfig, load_config
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.checks import check_training_config

METHODS = sorted(path.stem for path in (Path(mt_grpo_recipe.config.__file__).parent / "mt_grpo").glob("*.yaml"))
HOOKS = {
    "algorithm.adv_estimator": "mt_grpo",
    "actor_rollout_ref.actor.policy_loss.loss_mode": "mt_grpo",
    "trainer.v1.trainer_mode": "mt_grpo",
    "reward.custom_reward_function.path": "pkg://reward_fns",
    "data.dataloader_num_workers": 0,
    "actor_rollout_ref.actor.use_kl_loss": False,
    "actor_rollout_ref.rollout.temperature": 1.0,
}


def compose_method(name, *overrides):
    if name.startswith("seq_"):
        overrides = ("mt_grpo.weights.stages=[[a,b],[c]]", *overrides)
    if name == "mt_grpo_targets":
        overrides = ("mt_grpo.weights.targets={a: 0.6}", *overrides)
    return compose_config([f"+mt_grpo={name}", *overrides])


@pytest.mark.parametrize("name", METHODS)
def test_the_queue_has_no_limit_that_a_long_step_could_reach(name):
    queue = compose_method(name).transfer_queue
    assert queue.backend.SimpleStorage.num_data_storage_units == 8  # the rest of the section stays verl's
    # `transfer_queue.init` merges the section into its own defaults in this way, where null is no limit.
    own = OmegaConf.load(files("transfer_queue") / "config.yaml")
    assert "total_storage_size" in own.backend.SimpleStorage
    assert OmegaConf.merge(own, queue).backend.SimpleStorage.total_storage_size is None


def test_the_three_methods_are_there():
    assert {"grpo", "dapo", "mt_grpo"} <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_composes_validates_and_sets_every_hook(name):
    config = compose_method(name, "actor_rollout_ref.rollout.name=vllm", "actor_rollout_ref.rollout.n=8")
    section = load_config(config.mt_grpo)
    check_training_config(config, section)
    hooks = HOOKS | ({"trainer.v1.trainer_mode": "mt_grpo_async"} if name == "mt_grpo_async" else {})
    assert {key: OmegaConf.select(config, key) for key in hooks} == hooks


@pytest.mark.parametrize("order", [["+platform=cpu", "+mt_grpo=mt_grpo_async"], ["+mt_grpo=mt_grpo_async"]])
def test_asynchronous_training_sends_weights_as_its_device_can(order):
    config = compose_config([*order, "actor_rollout_ref.rollout.n=8"])
    engine = config.actor_rollout_ref.rollout.checkpoint_engine
    assert engine.backend == ("tcp" if "+platform=cpu" in order else "nccl")
    assert config.actor_rollout_ref.rollout.nnodes == 1


def test_the_yaml_lists_every_setting_and_leaves_each_at_its_default():
    section = compose_method("mt_grpo").mt_grpo
    assert load_config(section) == MTGRPOConfig()
    names = {
        "weights": {"rule"} | {field.name for rule in RULES.values() for field in fields(rule)},
        "improvement": {field.name for field in fields(ImprovementSettings)},
        "rewards": {field.name for field in fields(RewardSettings)},
        # `filter` is there only to be refused with its new names.
        "sampler": {"schedule", "filter"}
        | {field.name for schedule in SCHEDULES.values() for field in fields(schedule)},
    }
    assert {name: set(section[name]) for name in names} == names
    assert set(section) == names.keys() | {field.name for field in fields(GeneralSettings)}


@pytest.mark.parametrize(
    ("name", "rule", "drops", "ratio", "clip_high"),
    [
        ("mt_grpo", "improvement_aware", True, True, 0.28),
        ("dapo", "fixed", True, False, 0.28),
        ("grpo", "fixed", False, False, 0.2),
    ],
)
def test_methods_differ_in_what_the_method_is(name, rule, drops, ratio, clip_high):
    config = compose_method(name)
    section = load_config(config.mt_grpo)
    assert (section.weights.rule, section.sampler.drop_uninformative, section.sampler.ratio) == (rule, drops, ratio)
    assert config.actor_rollout_ref.actor.clip_ratio_low == 0.2
    assert config.actor_rollout_ref.actor.clip_ratio_high == clip_high


@pytest.mark.parametrize("rule", ["dump", "gdro", "proportional"])
def test_a_baseline_is_grpo_with_other_weights(rule):
    section, grpo = load_config(compose_method(rule).mt_grpo), load_config(compose_method("grpo").mt_grpo)
    assert section.weights == RULES[rule]() and section.sampler == grpo.sampler


def test_targets_and_floors_are_given_on_the_command_line():
    overrides = (
        "+mt_grpo=mt_grpo_targets",
        "mt_grpo.weights.targets={2-countdown: 0.6, a/b: 1}",
        "mt_grpo.weights.floors={arc-mini: start - 0.02, c: 0.3}",
        "mt_grpo.weights.tolerance=0.1",
    )
    section = load_config(compose_config(list(overrides)).mt_grpo)
    assert section.weights.targets == {"2-countdown": 0.6, "a/b": 1.0}
    assert section.weights.floors == {"arc-mini": "start - 0.02", "c": 0.3}
    assert (section.weights.tolerance, section.weights.min_share, section.sampler.schedule) == (0.1, 0.05, "budget")


def test_targets_without_any_are_refused():
    with pytest.raises(ConfigError, match=r"mt_grpo\.weights\.targets=\{\} cannot be used"):
        load_config(compose_config(["+mt_grpo=mt_grpo_targets"]).mt_grpo)


def test_a_setting_is_overridden_on_the_command_line():
    config = compose_method("mt_grpo", "mt_grpo.weights.trade_off=0.25", "mt_grpo.sampler.quota=stratified")
    section = load_config(config.mt_grpo)
    assert (section.weights.trade_off, section.sampler.quota) == (0.25, "stratified")


def test_an_unknown_method_is_refused_with_the_methods_there_are():
    with pytest.raises(MissingConfigException, match=r"mt_grpo/gprs(?s:.*)grpo_rps"):
        compose_config(["+mt_grpo=gprs"])


def test_a_sequential_method_without_stages_is_refused():
    with pytest.raises(ConfigError, match=r"stages=\[\] cannot be used: it must be a list of lists of task names"):
        load_config(compose_config(["+mt_grpo=seq_dapo"]).mt_grpo)


@pytest.mark.parametrize("option", ["mt_grpo.sampler.filter=lenient", "mt_grpo.weights.eta=0.1"])
def test_a_setting_that_was_renamed_or_has_no_effect_composes_and_is_then_refused_by_name(option):
    with pytest.raises(ConfigError, match=option.split("=")[0].replace(".", r"\.")):
        load_config(compose_method("mt_grpo", option).mt_grpo)
