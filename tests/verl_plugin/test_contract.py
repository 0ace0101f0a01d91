"""The names of verl that the plugin stands on, and the four registrations."""

import logging

import pytest
from verl.trainer.ppo.core_algos import get_adv_estimator_fn, get_policy_loss_fn
from verl.trainer.ppo.v1.trainer_base import get_trainer_cls

from mt_grpo_recipe import verl_plugin
from mt_grpo_recipe.verl_plugin import contract


def test_every_name_of_verl_that_we_use_is_there():
    assert contract.contract_breaches() == []


def test_a_missing_name_and_a_lost_parameter_are_told_in_a_sentence(monkeypatch):
    names = {"verl.trainer.ppo.core_algos": {"no_such_name": (), "agg_loss": ("loss_mat", "gone")}}
    monkeypatch.setattr(contract, "REQUIRED_NAMES", names)
    assert contract.contract_breaches() == [
        "verl.trainer.ppo.core_algos.no_such_name does not exist in verl 0.9.1.",
        "verl.trainer.ppo.core_algos.agg_loss no longer takes gone.",
    ]


def test_importing_verl_is_enough_to_register_the_plugin():
    assert get_trainer_cls("mt_grpo").__module__ == "mt_grpo_recipe.verl_plugin.trainer"
    assert get_adv_estimator_fn("mt_grpo").__module__ == "mt_grpo_recipe.verl_plugin.advantage"
    assert get_policy_loss_fn("mt_grpo").__module__ == "mt_grpo_recipe.verl_plugin.policy_loss"


def test_another_verl_is_reported_loudly_and_nothing_is_registered(monkeypatch, caplog):
    monkeypatch.setattr(verl_plugin, "installed_verl_version", lambda: "0.8.0")
    with caplog.at_level(logging.ERROR):
        verl_plugin.register()
    assert "works with verl 0.9.1, but verl 0.8.0 is installed" in caplog.text
    assert "pip install verl==0.9.1" in caplog.text


def test_the_trainer_refuses_another_verl(monkeypatch):
    from mt_grpo_recipe.config import ConfigError
    from mt_grpo_recipe.verl_plugin import checks

    monkeypatch.setattr(checks, "installed_verl_version", lambda: "0.10.0")
    with pytest.raises(ConfigError, match=r"verl 0\.10\.0 is installed; mt-grpo-recipe needs 0\.9\.1"):
        checks.check_version()
