"""`+mt_grpo=<method>` is found without a search path on the command line, and only where verl is imported."""

import subprocess
import sys
from pathlib import Path

import pytest
import verl  # noqa: F401 (loads the plugin)
from hydra import compose, initialize_config_module
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

import mt_grpo_recipe.config
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.search_path import MethodSearchPath, register_search_path

LONG = "hydra.searchpath=[pkg://mt_grpo_recipe.config]"
METHODS = sorted(path.stem for path in (Path(mt_grpo_recipe.config.__file__).parent / "mt_grpo").glob("*.yaml"))


def composed(*overrides):
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=list(overrides))


@pytest.mark.parametrize("method", METHODS)
def test_the_short_form_composes_to_what_the_long_form_does(method):
    overrides = ("+platform=cpu", f"+mt_grpo={method}", "+experiment=mini")
    assert composed(*overrides) == composed(LONG, *overrides)


def test_verls_own_command_takes_the_short_form():
    command = [sys.executable, "-m", "verl.trainer.main_ppo", "+mt_grpo=mt_grpo", "--cfg", "job"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    config = OmegaConf.create(printed[printed.index("actor_rollout_ref:") :])
    assert config.mt_grpo == composed(LONG, "+mt_grpo=mt_grpo").mt_grpo
    assert config.trainer.v1.trainer_mode == "mt_grpo"


def test_configs_of_the_users_own_are_found_beside_ours(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/seven.yaml").write_text("# @package _global_\ndata:\n  seed: 7\n")
    config = compose_config([f"hydra.searchpath=[file://{tmp_path}]", "+mt_grpo=dapo", "+mine=seven"])
    assert (config.data.seed, config.mt_grpo.weights.rule) == (7, "fixed")


def test_a_second_registration_changes_nothing():
    before = Plugins.instance().discover(SearchPathPlugin)
    register_search_path()
    assert Plugins.instance().discover(SearchPathPlugin) == before
    assert before.count(MethodSearchPath) == 1


def test_another_application_of_hydra_imports_nothing_of_ours():
    code = (
        "import sys\n"
        "from hydra.core.plugins import Plugins\n"
        "Plugins.instance()\n"
        "sys.exit(any(name.startswith('mt_grpo_recipe') for name in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
