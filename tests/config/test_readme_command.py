"""The README's command for one's own model says everything that verl asks for."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.checks import check_training_config

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Arguments of the commands of the README's block, by command, as bash hands them over."""
    folder = tmp_path_factory.mktemp("readme")
    (script,) = [block for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) if "setup.sh gpu" in block]
    environment = folder / ".venv-gpu" / "bin" / "activate"
    environment.parent.mkdir(parents=True)
    environment.touch()
    for name in ("bash", "pip", "mt-grpo", "python", "python3"):
        command = folder / name
        command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{folder}/$(basename "$0") ${{1##*/}}"\n')
        command.chmod(0o755)
    shell = ["/bin/bash", "-e", "-c", script]
    subprocess.run(shell, cwd=folder, env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}, check=True)
    names = {"doctor": "mt-grpo doctor", "train": "python -m", "show": "mt-grpo show"}
    return {key: (folder / name).read_text().splitlines() for key, name in names.items()}


def test_doctor_checks_the_command_that_trains(given):
    assert given["train"][:2] == ["-m", "verl.trainer.main_ppo"]
    assert given["train"][2:] == ["+mt_grpo=mt_grpo", *given["doctor"][1:]]
    assert given["show"] == ["show", "runs/first"]


def test_it_sets_what_verl_has_no_default_for_and_is_not_refused(given, monkeypatch):
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    config = compose_config(given["train"][2:])
    check_training_config(config, load_config(config.mt_grpo))
    assert OmegaConf.missing_keys(config) == {"reward.reward_model.rollout.name"}
    assert not config.reward.reward_model.enable
