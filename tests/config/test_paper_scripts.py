"""Every script of the experiments, composed and checked against the paper's hyperparameters, typed in by hand."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import paper_runs
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

IWU, REG = "improvement_aware", "regularized"


class Expected(NamedTuple):
    """What the paper says of one run; None: a constant that the rule does not have."""

    rule: str  # how the task weights move
    filter: str  # which groups are dropped
    ratio: bool = False  # whether the batch keeps the shares that the weights ask for
    inflate: bool = True  # whether more is generated of tasks that lose more groups to the filter
    clip_high: float = 0.28
    trade_off: float | None = None  # lambda
    improvement_clip: float | None = None  # c
    weight_decay: float | None = None  # of the logits
    eta: float | None = None
    families: tuple[str, ...] | None = None  # trained one after another, in this order


EXPECTED = {
    "exp1/grpo": Expected(rule="fixed", filter="off", clip_high=0.2),
    "exp1/sec_grpo": Expected(rule="sec", filter="off", clip_high=0.2),
    "exp1/dapo": Expected(rule="fixed", filter="strict"),
    "exp1/sec_dapo": Expected(rule="sec", filter="strict"),
    "exp1/mt_grpo_0.2": Expected(
        rule=IWU, trade_off=0.2, improvement_clip=0.1, weight_decay=1e-5, filter="strict", ratio=True
    ),
    "exp1/mt_grpo_0.25": Expected(
        rule=IWU, trade_off=0.25, improvement_clip=0.1, weight_decay=1e-5, filter="strict", ratio=True
    ),
    "exp1/mt_grpo_0.2_no_ratio": Expected(
        rule=IWU, trade_off=0.2, improvement_clip=0.1, weight_decay=1e-5, filter="strict"
    ),
    "exp1/mt_grpo_0.2_no_inflation": Expected(
        rule=IWU, trade_off=0.2, improvement_clip=0.1, weight_decay=1e-5, filter="strict", ratio=True, inflate=False
    ),
    "exp1/mt_grpo_reg_1e-5": Expected(rule=REG, eta=1e-5, filter="strict", ratio=True),
    "exp1/mt_grpo_reg_5e-4": Expected(rule=REG, eta=5e-4, filter="strict", ratio=True),
    "exp1/mt_grpo_reg_1e-2": Expected(rule=REG, eta=1e-2, filter="strict", ratio=True),
    "exp1/grpo_iwu": Expected(
        rule=IWU, trade_off=0.25, improvement_clip=0.1, weight_decay=1e-5, filter="off", clip_high=0.2
    ),
    "exp1/grpo_rps": Expected(rule="fixed", filter="strict", ratio=True),
    "exp2/grpo": Expected(rule="fixed", filter="off", clip_high=0.2),
    "exp2/sec_grpo": Expected(rule="sec", filter="off", clip_high=0.2),
    "exp2/dapo": Expected(rule="fixed", filter="lenient"),
    "exp2/sec_dapo": Expected(rule="sec", filter="lenient"),
    "exp2/mt_grpo_0.1": Expected(
        rule=IWU, trade_off=0.1, improvement_clip=0.2, weight_decay=1e-4, filter="lenient", ratio=True
    ),
    "exp2/mt_grpo_0.3": Expected(
        rule=IWU, trade_off=0.3, improvement_clip=0.1, weight_decay=1e-4, filter="lenient", ratio=True
    ),
    "exp2/mt_grpo_0.9": Expected(
        rule=IWU, trade_off=0.9, improvement_clip=0.2, weight_decay=1e-4, filter="lenient", ratio=True
    ),
    "exp2/mt_grpo_1.2": Expected(
        rule=IWU, trade_off=1.2, improvement_clip=0.2, weight_decay=1e-4, filter="lenient", ratio=True
    ),
    "exp2/mt_grpo_reg_1e-5": Expected(rule=REG, eta=1e-5, filter="lenient", ratio=True),
    "exp2/mt_grpo_reg_5e-4": Expected(rule=REG, eta=5e-4, filter="lenient", ratio=True),
    "exp2/mt_grpo_reg_1e-2": Expected(rule=REG, eta=1e-2, filter="lenient", ratio=True),
    "exp2/grpo_iwu": Expected(
        rule=IWU, trade_off=1.2, improvement_clip=0.2, weight_decay=1e-4, filter="off", clip_high=0.2
    ),
    "exp2/grpo_rps": Expected(rule="fixed", filter="lenient", ratio=True),
    "exp2/seq_grpo_cza": Expected(rule="sequential", families=FAMILIES, filter="off", clip_high=0.2),
    "exp2/seq_grpo_zac": Expected(
        rule="sequential", families=("zebra", "arc", "countdown"), filter="off", clip_high=0.2
    ),
    "exp2/seq_dapo_cza": Expected(rule="sequential", families=FAMILIES, filter="lenient"),
    "exp2/seq_dapo_zac": Expected(rule="sequential", families=("zebra", "arc", "countdown"), filter="lenient"),
    "exp3/exp3a_grpo": Expected(rule="fixed", filter="off", clip_high=0.2),
    "exp3/exp3a_sec_grpo": Expected(rule="sec", filter="off", clip_high=0.2),
    "exp3/exp3a_dapo": Expected(rule="fixed", filter="lenient"),
    "exp3/exp3a_sec_dapo": Expected(rule="sec", filter="lenient"),
    "exp3/exp3a_mt_grpo_0.05": Expected(
        rule=IWU, trade_off=0.05, improvement_clip=0.2, weight_decay=1e-5, filter="lenient", ratio=True
    ),
    "exp3/exp3a_mt_grpo_0.2": Expected(
        rule=IWU, trade_off=0.2, improvement_clip=0.2, weight_decay=1e-5, filter="lenient", ratio=True
    ),
    "exp3/exp3b_grpo": Expected(rule="fixed", filter="off", clip_high=0.2),
    "exp3/exp3b_sec_grpo": Expected(rule="sec", filter="off", clip_high=0.2),
    "exp3/exp3b_dapo": Expected(rule="fixed", filter="lenient"),
    "exp3/exp3b_sec_dapo": Expected(rule="sec", filter="lenient"),
    "exp3/exp3b_mt_grpo_0.5": Expected(
        rule=IWU, trade_off=0.5, improvement_clip=0.2, weight_decay=1e-5, filter="lenient", ratio=True
    ),
}


@pytest.fixture(scope="module")
def command_of(tmp_path_factory):
    """Script -> the arguments it gives to verl, caught by a fake python that runs files but only records modules."""
    folder = tmp_path_factory.mktemp("bin")
    python = folder / "python"
    python.write_text(
        "#!/usr/bin/env bash\n"
        f'if [ "$1" = -m ]; then printf "%s\\0" "$@" >"$CAUGHT"; else exec {sys.executable} "$@"; fi\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IEXEC)

    def run(script, *arguments):
        caught = folder / "caught"
        env = {
            name: value for name, value in os.environ.items() if name not in ("MODEL", "DATA_DIR", "N_GPUS", "N_NODES")
        }
        env |= {"PATH": f"{folder}:{os.environ['PATH']}", "VIRTUAL_ENV": "x", "CAUGHT": str(caught)}
        env["OUT_DIR"] = str(folder / "out")
        subprocess.run(["bash", script, *arguments], env=env, check=True, stderr=subprocess.PIPE, text=True)
        return caught.read_text().split("\0")[:-1]

    return run


def composed(command):
    assert command[:2] == ["-m", "verl.trainer.main_ppo"]
    return compose_config(command[2:])


def name_of(script):
    return f"{script.parent.name}/{script.stem}"


def test_scripts_rows_of_the_table_and_expectations_are_the_same_runs():
    assert {name_of(script) for script in SCRIPTS} == set(paper_runs.read_table()) == set(EXPECTED)


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_a_script_only_names_its_row(script):
    assert script.read_text().splitlines() == [
        "#!/usr/bin/env bash",
        "set -euo pipefail",
        'source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"',
        f'run_paper {name_of(script)} "$@"',
    ]


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_a_script_composes_to_the_hyperparameters_of_the_paper(command_of, script):
    config = composed(command_of(script))
    experiment = script.stem.split("_")[0] if script.parent.name == "exp3" else script.parent.name
    shared = SHARED | EXPERIMENTS[experiment]
    plain = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    got = {key: OmegaConf.select(plain, key) for key in shared}
    assert json.loads(json.dumps(got, default=list)) == shared

    section = load_config(config.mt_grpo)
    check_training_config(config, section)
    expected = EXPECTED[name_of(script)]
    weights, sampler = section.weights, section.sampler
    assert weights.rule == expected.rule
    assert (sampler.ratio, sampler.inflate) == (expected.ratio, expected.inflate)
    assert sampler.drop_uninformative == (expected.filter != "off")
    if sampler.drop_uninformative:
        assert sampler.informative == {"strict": "mixed", "lenient": "spread"}[expected.filter]
    assert config.actor_rollout_ref.actor.clip_ratio_high == expected.clip_high
    for name in ("trade_off", "improvement_clip", "weight_decay", "eta"):
        if getattr(expected, name) is not None:
            assert getattr(weights, name) == getattr(expected, name), name
    if expected.rule in (IWU, REG):
        assert weights.learning_rate == 0.025
    if expected.rule == "sec":
        assert (weights.alpha, weights.temperature) == (0.5, 0.2)
    if expected.families:
        stages = [[f"{level}-{family}" for level in (1, 2, 3)] for family in expected.families]
        assert (weights.stages, weights.stage_steps) == (stages, 240)


def test_a_script_without_a_row_stops_and_names_the_rows(command_of, tmp_path):
    common = RUN_SCRIPTS / "common.sh"
    script = tmp_path / "other.sh"
    script.write_text(f'set -euo pipefail\nsource "{common}"\nrun_paper exp1/other "$@"\n')
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        command_of(script)
    assert "no row 'exp1/other'" in stopped.value.stderr and "exp1/dapo" in stopped.value.stderr


def test_the_readme_shows_the_table():
    """Made by `python run_scripts/paper_runs.py --markdown`."""
    assert paper_runs.markdown(paper_runs.read_table()) in (RUN_SCRIPTS / "README.md").read_text(encoding="utf-8")


def test_overrides_of_the_user_come_last(command_of):
    command = command_of(RUN_SCRIPTS / "exp1" / "dapo.sh", "trainer.total_training_steps=5", "data.seed=7")
    assert command[-2:] == ["trainer.total_training_steps=5", "data.seed=7"]
    assert composed(command).trainer.total_training_steps == 5
