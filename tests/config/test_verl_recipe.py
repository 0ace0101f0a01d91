"""The recipe for verl's collection: its config composes to the paper's run, and its script trains with it."""

import os
import subprocess
from pathlib import Path

import verl  # noqa: F401 (loads the plugin)
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.checks import check_training_config
from mt_grpo_recipe.verl_plugin.contract import VERL_VERSION

RECIPE = Path(__file__).resolve().parents[2] / "run_scripts" / "verl_recipe"


def composed(*overrides):
    with initialize_config_dir(str(RECIPE / "config"), version_base=None):
        return compose("mt_grpo_trainer", overrides=list(overrides))


def test_the_config_composes_to_the_papers_run():
    config = composed()
    check_training_config(config, load_config(config.mt_grpo))
    plain = compose_config(["+mt_grpo=mt_grpo", "+experiment=exp1", *("trainer.project_name=mt-grpo",)])
    names = {"experiment_name": "exp1-mt_grpo", "n_gpus_per_node": 2}
    OmegaConf.update(plain, "trainer", names)
    assert config == plain


def test_another_method_is_one_override():
    assert load_config(composed("mt_grpo=dapo").mt_grpo) == load_config(
        compose_config(["+mt_grpo=dapo", "+experiment=exp1"]).mt_grpo
    )


def test_it_asks_for_the_verl_that_the_plugin_is_made_for():
    said = dict(
        line.split("=", 1) for line in (RECIPE / "REQUIRED_VERL.txt").read_text().splitlines() if line[0] != "#"
    )
    assert (said["TAG"], said["PIP_INSTALL"]) == (f"v{VERL_VERSION}", f"pip install verl[vllm]=={VERL_VERSION}")


def test_the_script_makes_the_data_once_and_trains_with_the_config(tmp_path):
    for name in ("python", "mt-grpo"):
        command = tmp_path / name
        command.write_text(f'#!/usr/bin/env bash\nprintf "%s\\0" {name} "$@" >>"{tmp_path}/called"\n')
        command.chmod(0o755)
    data, out = tmp_path / "data", tmp_path / "out"
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DATA_DIR": str(data), "OUT_DIR": str(out)}
    script = ["bash", str(RECIPE / "run_mt_grpo_qwen2.5-3b.sh"), "data.seed=7"]
    subprocess.run(script, env=env, check=True)
    prepare = ["mt-grpo", "prepare", "exp1", "-o", str(data)]
    train = [
        *("python", "-m", "verl.trainer.main_ppo", "--config-path", str(RECIPE / "config")),
        *("--config-name", "mt_grpo_trainer", f"data.train_files='{data}/train.parquet'"),
        *(f"data.val_files='{data}/test.parquet'", f"trainer.default_local_dir='{out}/checkpoints'", "data.seed=7"),
    ]
    assert (tmp_path / "called").read_text().split("\0")[:-1] == prepare + train
    data.mkdir()
    (data / "test.parquet").touch()
    subprocess.run(script, env=env, check=True)
    assert (tmp_path / "called").read_text().split("\0")[:-1] == prepare + train + train
