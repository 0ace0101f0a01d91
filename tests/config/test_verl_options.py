"""The list of verl's options matches the composed config; what it lists as refused or warned of is."""

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import DictConfig

import mt_grpo_recipe.config
from mt_grpo_recipe.verl_plugin.checks.options import NO_EFFECT, NOT_DONE

LIST = (Path(mt_grpo_recipe.config.__file__).parent / "verl_options.yaml").read_text()
VERDICTS = yaml.safe_load(LIST)
NOT_IN_VERLS_CONFIG = {"data.sampler", "data.train_weights"}
"""Options of other trainers that people carry over with a plus sign."""
ADDED = {"actor_rollout_ref.rollout.agent.agent_loop_manager_class"}
"""Read by verl, not in its YAML."""


def keys_of(config: DictConfig, prefix=""):
    for name in config:
        node, key = config._get_node(name), f"{prefix}{name}"
        yield from keys_of(node, f"{key}.") if isinstance(node, DictConfig) and node else [key]


@pytest.fixture(scope="module")
def keys():
    with initialize_config_module("verl.trainer.config", version_base=None):
        return sorted(keys_of(compose("ppo_trainer"))) + sorted(ADDED)


def prefixes(key):
    parts = key.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def verdict(key):
    return next((VERDICTS[prefix] for prefix in prefixes(key) if prefix in VERDICTS), None)


def test_every_option_of_verl_has_a_verdict(keys):
    assert [key for key in keys if verdict(key) is None] == []


def test_every_line_of_the_list_is_about_an_option_of_verl(keys):
    assert set(VERDICTS) - {prefix for key in keys for prefix in prefixes(key)} == set()
    assert set(VERDICTS.values()) == {"verl", "plugin", "refused", "no effect"}


def test_no_option_has_two_lines():
    listed = [line.split(":")[0] for line in LIST.splitlines() if line and not line.startswith("#")]
    assert sorted(listed) == sorted(VERDICTS)


def test_a_line_says_something_that_the_line_above_it_does_not(keys):
    repeated = [key for key in VERDICTS if VERDICTS[key] in {verdict(prefix) for prefix in prefixes(key)[1:2]}]
    assert repeated == []


def test_what_the_checks_refuse_or_warn_of_is_listed_so():
    assert {name: verdict(name) for name in NOT_DONE if name not in NOT_IN_VERLS_CONFIG} == {
        name: "refused" for name in NOT_DONE if name not in NOT_IN_VERLS_CONFIG
    }
    assert {verdict(name) for name in NO_EFFECT} == {"no effect"}
