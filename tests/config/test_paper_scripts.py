"""Every script of the experiments, composed and checked against the paper's hyperparameters, typed in by hand."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.checks import check_training_config

RUN_SCRIPTS = Path(__file__).parents[2] / "run_scripts"
SCRIPTS = sorted(RUN_SCRIPTS.glob("exp?/*.sh"))

# arXiv 2602.05547, section 6 and appendix E: what all runs of an experiment share.
SHARED = {
    "actor_rollout_ref.actor.optim.lr": 1e-6,
    "actor_rollout_ref.actor.optim.weight_decay": 0.01,
    "actor_rollout_ref.actor.optim.betas": [0.9, 0.99],
    "actor_rollout_ref.actor.clip_ratio_low": 0.2,
    "actor_rollout_ref.actor.kl_loss_coef": 0.0,
    "actor_rollout_ref.actor.use_kl_loss": False,
    "actor_rollout_ref.rollout.temperature": 1.0,
    "actor_rollout_ref.rollout.val_kwargs.n": 8,
    "actor_rollout_ref.rollout.val_kwargs.temperature": 1.0,
    "data.max_prompt_length": 1024,
    "data.max_response_length": 4096,
    "trainer.test_freq": 10,
    "mt_grpo.sampler.oversample": 3.0,
    "mt_grpo.sampler.max_inflation": 5.0,
}
THREE = {
    "actor_rollout_ref.model.path": "Qwen/Qwen2.5-3B",
    "data.train_batch_size": 32,
    "actor_rollout_ref.rollout.n": 72,
    "actor_rollout_ref.actor.ppo_mini_batch_size": 8,
    "trainer.total_training_steps": 720,
    "mt_grpo.tasks": ["2-countdown", "2-zebra", "2-arc"],
    "mt_grpo.sampler.max_resample_rounds": 10,
}
FAMILIES = ("countdown", "zebra", "arc")
NINE = {
    "actor_rollout_ref.model.path": "Qwen/Qwen2.5-3B",
    "data.train_batch_size": 256,
    "actor_rollout_ref.rollout.n": 8,
    "actor_rollout_ref.actor.ppo_mini_batch_size": 64,
    "trainer.total_training_steps": 720,
    "mt_grpo.tasks": [f"{level}-{family}" for family in FAMILIES for level in (1, 2, 3)],
    "mt_grpo.sampler.max_resample_rounds": 2,
}
THREE_A = {
    "actor_rollout_ref.model.path": "Qwen/Qwen2.5-7B",
    "trainer.total_training_steps": 150,
    "mt_grpo.tasks": ["math", "arc", "chemistry", "physics"],
}
THREE_B = {
    "actor_rollout_ref.model.path": "allenai/Olmo-3-7B-Instruct",
    "trainer.total_training_steps": 150,
    "mt_grpo.tasks": ["biology", "chemistry", "physics", "materials"],
}
EXPERIMENTS = {"exp1": THREE, "exp2": NINE, "exp3a": THREE_A, "exp3b": THREE_B}

# Script -> rule, lambda, c, weight decay of the logits (eta where regularised), filter, ratio, upper clip. None: any.
IWU, REG = "improvement_aware", "regularized"
METHODS = {
    "exp1/grpo": ("fixed", None, None, None, "off", False, 0.2),
    "exp1/sec_grpo": ("sec", None, None, None, "off", False, 0.2),
    "exp1/dapo": ("fixed", None, None, None, "strict", False, 0.28),
    "exp1/sec_dapo": ("sec", None, None, None, "strict", False, 0.28),
    "exp1/mt_grpo_0.2": (IWU, 0.2, 0.1, 1e-5, "strict", True, 0.28),
    "exp1/mt_grpo_0.25": (IWU, 0.25, 0.1, 1e-5, "strict", True, 0.28),
    "exp1/mt_grpo_0.2_no_ratio": (IWU, 0.2, 0.1, 1e-5, "strict", False, 0.28),
    "exp1/mt_grpo_0.2_no_inflation": (IWU, 0.2, 0.1, 1e-5, "strict", True, 0.28),
    "exp1/mt_grpo_reg_1e-5": (REG, None, None, 1e-5, "strict", True, 0.28),
    "exp1/mt_grpo_reg_5e-4": (REG, None, None, 5e-4, "strict", True, 0.28),
    "exp1/mt_grpo_reg_1e-2": (REG, None, None, 1e-2, "strict", True, 0.28),
    "exp1/grpo_iwu": (IWU, 0.25, 0.1, 1e-5, "off", False, 0.2),
    "exp1/grpo_rps": ("fixed", None, None, None, "strict", True, 0.28),
    "exp2/grpo": ("fixed", None, None, None, "off", False, 0.2),
    "exp2/sec_grpo": ("sec", None, None, None, "off", False, 0.2),
    "exp2/dapo": ("fixed", None, None, None, "lenient", False, 0.28),
    "exp2/sec_dapo": ("sec", None, None, None, "lenient", False, 0.28),
    "exp2/mt_grpo_0.1": (IWU, 0.1, 0.2, 1e-4, "lenient", True, 0.28),
    "exp2/mt_grpo_0.3": (IWU, 0.3, 0.1, 1e-4, "lenient", True, 0.28),
    "exp2/mt_grpo_0.9": (IWU, 0.9, 0.2, 1e-4, "lenient", True, 0.28),
    "exp2/mt_grpo_1.2": (IWU, 1.2, 0.2, 1e-4, "lenient", True, 0.28),
    "exp2/mt_grpo_reg_1e-5": (REG, None, None, 1e-5, "lenient", True, 0.28),
    "exp2/mt_grpo_reg_5e-4": (REG, None, None, 5e-4, "lenient", True, 0.28),
    "exp2/mt_grpo_reg_1e-2": (REG, None, None, 1e-2, "lenient", True, 0.28),
    "exp2/grpo_iwu": (IWU, 1.2, 0.2, 1e-4, "off", False, 0.2),
    "exp2/grpo_rps": ("fixed", None, None, None, "lenient", True, 0.28),
    "exp2/seq_grpo_cza": ("sequential", None, None, None, "off", False, 0.2),
    "exp2/seq_grpo_zac": ("sequential", None, None, None, "off", False, 0.2),
    "exp2/seq_dapo_cza": ("sequential", None, None, None, "lenient", False, 0.28),
    "exp2/seq_dapo_zac": ("sequential", None, None, None, "lenient", False, 0.28),
    **{
        f"exp3/{sub}_{name}": row
        for sub in ("exp3a", "exp3b")
        for name, row in {
            "grpo": ("fixed", None, None, None, "off", False, 0.2),
            "sec_grpo": ("sec", None, None, None, "off", False, 0.2),
            "dapo": ("fixed", None, None, None, "lenient", False, 0.28),
            "sec_dapo": ("sec", None, None, None, "lenient", False, 0.28),
        }.items()
    },
    "exp3/exp3a_mt_grpo_0.05": (IWU, 0.05, 0.2, 1e-5, "lenient", True, 0.28),
    "exp3/exp3a_mt_grpo_0.2": (IWU, 0.2, 0.2, 1e-5, "lenient", True, 0.28),
    "exp3/exp3b_mt_grpo_0.5": (IWU, 0.5, 0.2, 1e-5, "lenient", True, 0.28),
}


@pytest.fixture(scope="module")
def command_of(tmp_path_factory):
    """Script -> the arguments it gives to python, caught by a python that only writes them down."""
    folder = tmp_path_factory.mktemp("bin")
    python = folder / "python"
    python.write_text('#!/usr/bin/env bash\nprintf "%s\\0" "$@" >"$CAUGHT"\n')
    python.chmod(python.stat().st_mode | stat.S_IEXEC)

    def run(script, *arguments):
        caught = folder / "caught"
        env = {
            name: value for name, value in os.environ.items() if name not in ("MODEL", "DATA_DIR", "N_GPUS", "N_NODES")
        }
        env |= {"PATH": f"{folder}:{os.environ['PATH']}", "VIRTUAL_ENV": "x", "CAUGHT": str(caught)}
        env["OUT_DIR"] = str(folder / "out")
        subprocess.run(["bash", script, *arguments], env=env, check=True)
        return caught.read_text().split("\0")[:-1]

    return run


def composed(command):
    assert command[:2] == ["-m", "verl.trainer.main_ppo"]
    return compose_config(command[2:])


def test_the_table_names_every_script():
    assert {str(path.relative_to(RUN_SCRIPTS).with_suffix("")) for path in SCRIPTS} == set(METHODS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_script_composes_to_the_hyperparameters_of_the_paper(command_of, script):
    config = composed(command_of(script))
    name = f"{script.parent.name}/{script.stem}"
    experiment = script.stem.split("_")[0] if script.parent.name == "exp3" else script.parent.name
    expected = SHARED | EXPERIMENTS[experiment]
    plain = OmegaConf.to_container(config, resolve=False)
    got = {key: OmegaConf.select(OmegaConf.create(plain), key) for key in expected}
    assert json.loads(json.dumps(got, default=list)) == expected

    section = load_config(config.mt_grpo)
    check_training_config(config, section)
    rule, trade_off, clip, decay, filter_mode, ratio, clip_high = METHODS[name]
    weights = section.weights
    filters = {"strict": ("mixed", True), "lenient": ("spread", True)}
    sampler = section.sampler
    assert (weights.rule, sampler.ratio, sampler.drop_uninformative) == (rule, ratio, filter_mode != "off")
    if filter_mode != "off":
        assert (sampler.informative, sampler.drop_uninformative) == filters[filter_mode]
    assert config.actor_rollout_ref.actor.clip_ratio_high == clip_high
    assert section.sampler.inflate == ("no_inflation" not in name)
    if rule == IWU:
        assert (weights.trade_off, weights.improvement_clip) == (trade_off, clip)
    if rule in (IWU, REG):
        assert (weights.learning_rate, weights.eta if rule == REG else weights.weight_decay) == (0.025, decay)
    if rule == "sec":
        assert (weights.alpha, weights.temperature) == (0.5, 0.2)
    if rule == "sequential":
        order = {"c": "countdown", "z": "zebra", "a": "arc"}
        expected_stages = [[f"{level}-{order[letter]}" for level in (1, 2, 3)] for letter in name[-3:]]
        assert (weights.stages, weights.stage_steps) == (expected_stages, 240)


def test_overrides_of_the_user_come_last(command_of):
    command = command_of(RUN_SCRIPTS / "exp1" / "dapo.sh", "trainer.total_training_steps=5", "data.seed=7")
    assert command[-2:] == ["trainer.total_training_steps=5", "data.seed=7"]
    assert composed(command).trainer.total_training_steps == 5
