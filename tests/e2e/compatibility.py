"""Which of verl's other options work with the plugin: two real CPU steps with each, and a table of what came of it.

    python tests/e2e/compatibility.py -o DIR [--only NAME...]     about a minute per option; goes on where it stopped
    python tests/e2e/compatibility.py -o DIR --table              the table of mt_grpo_recipe/verl_plugin/README.md

A case works if the run ends well *and* shows a sign of the option: a metric, a file, a line of its output. An option
that should be refused has to end the run with the sentence that the plugin, or verl, says. Exit status 0 if every case
that ran is as expected.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from hash_reward import ROLLOUTS

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
STEPS = 2
TIME_LIMIT = 600
"""Seconds after which a run counts as hung."""
HUNG = 124
Sign = Callable[["Ended"], bool]


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    folder: Path
    exit_status: int

    @property
    def output(self) -> str:
        """Everything that the run printed."""
        return (self.folder / "train.log").read_text(errors="replace")

    @property
    def steps(self) -> dict[int, dict[str, float]]:
        """Metrics by step."""
        path = self.folder / "metrics.jsonl"
        rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
        return {row["step"]: row["data"] for row in rows}


@dataclass(frozen=True)
class Case:
    """One option of verl.

    Attributes:
        name: of its folder, and for --only.
        shown: how the table names it.
        overrides: `{folder}` is the run's own folder.
        sign: whether the option had its effect; it is asked only of a run that ended with status 0.
        sign_is: what the sign is, in words.
        refused: a part of the sentence that refuses it, where it cannot work.
    """

    name: str
    shown: str
    overrides: tuple[str, ...]
    sign: Sign = lambda ended: True
    sign_is: str = ""
    refused: str = ""


def metric(name: str) -> Sign:
    """Every step has this metric, as a finite number."""
    return lambda ended: all(abs(ended.steps[step].get(name, float("nan"))) < float("inf") for step in (1, STEPS))


def at_validation(part: str) -> Sign:
    """The last step has a metric with this in its name."""
    return lambda ended: any(part in name for name in ended.steps[STEPS])


def files(pattern: str) -> Sign:
    """The run wrote a file of this name."""
    return lambda ended: any(path.stat().st_size for path in ended.folder.glob(pattern))


def says(text: str) -> Sign:
    """The run printed this."""
    return lambda ended: text in ended.output


def trains_a_tool_user(ended: Ended) -> bool:
    """The task with a tool has turns of several messages, and both kinds of task were trained on."""
    step = ended.steps[STEPS]
    trained = [value for name, value in step.items() if name.startswith("mt_grpo/trained/")]
    return step["num_turns/max"] > step["num_turns/min"] == 2 and sum(value > 0 for value in trained) == 3


ACTOR, LOSS = "actor_rollout_ref.actor.", "actor_rollout_ref.actor.policy_loss.loss_mode="
FIXED = ("mt_grpo.weights.rule=fixed", "mt_grpo.weights.initial=null")
"""For losses whose change the improvement-aware rule does not measure."""
TRAINS = "steps with a gradient"
TRAINED = metric("actor/grad_norm")
NOT_THE_LOSS = "whose change mt_grpo.weights.rule=improvement_aware reads"
NOT_RELATIVE = "with mt_grpo.sampler.drop_uninformative=true"
UNFILTERED = ("mt_grpo.sampler.drop_uninformative=false", "mt_grpo.sampler.ratio=false")
NEEDS = {"dro": (f"{ACTOR}policy_loss.dro_beta=0.1",)}
"""What a loss of verl's asks for."""
OTHER_LOSSES = ("gspo", "sapo", "geo_mean", "cispo", "clip_cov", "kl_cov", "gpg", "dppo_tv", "dppo_kl", "dro")
ESTIMATORS = ("grpo", "rloo", "opo", "grpo_vectorized", "rloo_vectorized", "gpg")
AGGREGATIONS = ("token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")
CORRECTION = "algorithm.rollout_correction."

CASES = (
    Case("plain", "none of them", (), TRAINED, TRAINS),
    Case(
        "lora",
        "LoRA: `model.lora_rank=8`, `model.lora.merge=True`",
        (
            "actor_rollout_ref.model.lora_rank=8",
            "actor_rollout_ref.model.lora_alpha=16",
            "actor_rollout_ref.model.target_modules=all-linear",
            "actor_rollout_ref.rollout.load_format=safetensors",
            "actor_rollout_ref.model.lora.merge=True",
            "trainer.save_freq=2",
        ),
        files("checkpoints/global_step_2/actor/lora_train_meta.json"),
        "an adapter in the checkpoint",
    ),
    Case(
        "kl_loss",
        "`actor.use_kl_loss=True`",
        (f"{ACTOR}use_kl_loss=True",),
        lambda ended: any(step.get("actor/kl_coef", 0) > 0 for step in ended.steps.values()),
        "`actor/kl_loss`, with verl's coefficient",
    ),
    Case(
        "kl_in_reward",
        "`algorithm.use_kl_in_reward=True`",
        ("algorithm.use_kl_in_reward=True",),
        metric("actor/reward_kl_penalty"),
        "`actor/reward_kl_penalty`",
    ),
    Case(
        "ppo_epochs",
        "`actor.ppo_epochs=2`",
        (f"{ACTOR}ppo_epochs=2",),
        lambda ended: any(step.get("actor/ppo_kl", 0) != 0 for step in ended.steps.values()),
        "`actor/ppo_kl`, which one update from fresh rollouts leaves at zero",
    ),
    Case(
        "entropy",
        "`actor.entropy_coeff=0.01`",
        (f"{ACTOR}entropy_coeff=0.01",),
        metric("actor/entropy_loss"),
        "`actor/entropy_loss`",
    ),
    *(
        Case(f"agg-{name}", f"`actor.loss_agg_mode={name}`", (f"{ACTOR}loss_agg_mode={name}",), TRAINED, TRAINS)
        for name in AGGREGATIONS
    ),
    Case(
        "loss-gspo",
        "`policy_loss.loss_mode=gspo`, or any below, with `+mt_grpo=mt_grpo`",
        (f"{LOSS}gspo",),
        refused=NOT_THE_LOSS,
    ),
    *(
        Case(
            f"loss-{name}-fixed",
            f"`policy_loss.loss_mode={name}` with `weights.rule=fixed`",
            (f"{LOSS}{name}", *FIXED, *NEEDS.get(name, ())),
            TRAINED,
            TRAINS,
        )
        for name in OTHER_LOSSES
    ),
    *(
        Case(f"adv-{name}", f"`algorithm.adv_estimator={name}`", (f"algorithm.adv_estimator={name}",), TRAINED, TRAINS)
        for name in ESTIMATORS
    ),
    Case(
        "dr_grpo",
        "Dr. GRPO: `norm_adv_by_std_in_grpo=False`, `loss_agg_mode=seq-mean-token-sum-norm`",
        ("algorithm.norm_adv_by_std_in_grpo=False", f"{ACTOR}loss_agg_mode=seq-mean-token-sum-norm"),
        lambda ended: (
            max(step["critic/advantages/max"] for step in ended.steps.values() if step.get("actor/grad_norm")) <= 1
        ),
        "advantages of at most one",
    ),
    Case(
        "adv-reinforce_plus_plus",
        "`algorithm.adv_estimator=reinforce_plus_plus`, or another that gives zero-gradient groups an advantage",
        ("algorithm.adv_estimator=reinforce_plus_plus",),
        refused=NOT_RELATIVE,
    ),
    Case(
        "adv-reinforce_plus_plus-unfiltered",
        "`algorithm.adv_estimator=reinforce_plus_plus` with `sampler.drop_uninformative=false`",
        ("algorithm.adv_estimator=reinforce_plus_plus", *UNFILTERED),
        TRAINED,
        TRAINS,
    ),
    Case(
        "tis",
        "rollout correction, token TIS",
        (f"{CORRECTION}rollout_is=token", "actor_rollout_ref.rollout.calculate_log_probs=True"),
        metric("rollout_corr/rollout_is_mean"),
        "`rollout_corr/rollout_is_mean`",
    ),
    Case(
        "bypass",
        "rollout correction, bypass mode, with `weights.rule=fixed`",
        (
            f"{CORRECTION}bypass_mode=True",
            f"{LOSS}bypass_mode",
            "actor_rollout_ref.rollout.calculate_log_probs=True",
            *FIXED,
        ),
        TRAINED,
        TRAINS,
    ),
    Case(
        "overlong",
        "`reward.reward_manager.name=dapo` with an overlong buffer",
        (
            "reward.reward_manager.name=dapo",
            "+reward.reward_kwargs.max_resp_len=32",
            "+reward.reward_kwargs.overlong_buffer_cfg={enable: true, len: 28, penalty_factor: 0.5, log: true}",
        ),
        lambda ended: min(step["critic/score/min"] for step in ended.steps.values() if "critic/score/min" in step) < 0,
        "scores below zero",
    ),
    Case(
        "val-1",
        "validation with `val_kwargs.n=1`",
        ("actor_rollout_ref.rollout.val_kwargs.n=1", "trainer.test_freq=2"),
        at_validation("worst_task_acc"),
        "`worst_task_acc`",
    ),
    Case(
        "val-2",
        "validation with `val_kwargs.n=2`",
        ("actor_rollout_ref.rollout.val_kwargs.n=2", "trainer.test_freq=2"),
        at_validation("mean@2"),
        "`mean@2`",
    ),
    Case(
        "val_only",
        "`trainer.val_only=True`",
        ("trainer.val_only=True", "trainer.val_before_train=True"),
        lambda ended: set(ended.steps) <= {0} and "worst_task_acc" in ended.output,
        "a validation and no step",
    ),
    Case(
        "dump",
        "`trainer.rollout_data_dir`",
        ("trainer.rollout_data_dir={folder}/rollouts",),
        files("rollouts/2.jsonl"),
        "a file per step",
    ),
    Case(
        "val_dump",
        "`trainer.validation_data_dir`",
        ("trainer.validation_data_dir={folder}/validation", "trainer.test_freq=2"),
        files("validation/2.jsonl"),
        "a file per validation",
    ),
    Case(
        "log_val",
        "`trainer.log_val_generations=2`",
        ("trainer.log_val_generations=2", "trainer.test_freq=2", "trainer.logger=[console,file,tensorboard]"),
        at_validation("worst_task_acc"),
        "a validation",
    ),
    Case(
        "tensorboard",
        "`trainer.logger=[tensorboard]`",
        ("trainer.logger=[console,file,tensorboard]",),
        files("tensorboard/**/events*"),
        "an event file",
    ),
    Case(
        "resume_path",
        "`trainer.resume_mode=resume_path`",
        ("trainer.resume_mode=resume_path", "trainer.resume_from_path={folder}/../saved/checkpoints/global_step_1"),
        lambda ended: set(ended.steps) == {2},
        "step 2 and no other",
    ),
    Case(
        "own_loop",
        "verl's agent loop manager in place of the plugin's",
        ("actor_rollout_ref.rollout.agent.agent_loop_manager_class=null",),
        TRAINED,
        TRAINS,
    ),
    Case(
        "tool",
        "a multi-turn tool agent beside single-turn tasks, by `agent_name` of the row",
        (
            "data.train_files={folder}/../data/tool.parquet",
            "data.max_response_length=48",
            f"actor_rollout_ref.rollout.multi_turn.function_tool_path={HERE}/lookup_tool.py",
            "actor_rollout_ref.rollout.multi_turn.format=every_answer",
            "actor_rollout_ref.rollout.multi_turn.max_assistant_turns=2",
            "data.max_prompt_length=256",
        ),
        trains_a_tool_user,
        "`num_turns` of several messages, and all three tasks trained on",
    ),
)


def prepare(out: Path) -> None:
    """Make the data, once with a column that sends one task to the tool agent."""
    data = out / "data"
    if not (data / "test.parquet").exists():
        command = [str(Path(sys.executable).with_name("mt-grpo")), "prepare", "--train", "60", "--test", "4"]
        subprocess.run([*command, "-o", str(data)], check=True)
    table = pq.read_table(data / "train.parquet")
    tasks = [info["task"] for info in table["extra_info"].to_pylist()]
    agents = ["tool_agent" if task == tasks[0] else "single_turn_agent" for task in tasks]
    pq.write_table(table.append_column("agent_name", [agents]), data / "tool.parquet")


def train(out: Path, name: str, overrides: tuple[str, ...]) -> Ended:
    """Run verl with these overrides, unless it has been; the log and the metrics go to a folder of this name."""
    folder = out / name
    finished = folder / "exit_status"
    if not finished.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "verl.trainer.main_ppo", "hydra.searchpath=[pkg://mt_grpo_recipe.config]"),
            *("+platform=cpu", "+mt_grpo=mt_grpo", "+experiment=mini"),
            *(f"data.train_files={out}/data/train.parquet", f"data.val_files={out}/data/test.parquet"),
            *("data.train_batch_size=6", f"{ACTOR}ppo_mini_batch_size=6", f"actor_rollout_ref.rollout.n={ROLLOUTS}"),
            f"actor_rollout_ref.model.path={ROOT}/run_scripts/tiny_model/checkpoint",
            f"reward.custom_reward_function.path={HERE}/hash_reward.py",
            *(f"trainer.total_training_steps={STEPS}", "trainer.save_freq=-1", "trainer.test_freq=-1"),
            *("trainer.val_before_train=False", "trainer.resume_mode=disable"),
            *(f"trainer.default_local_dir={folder}/checkpoints", f"hydra.run.dir={folder}/hydra"),
            *(override.replace("{folder}", str(folder)) for override in overrides),
        ]
        environment = os.environ | {
            "VERL_FILE_LOGGER_PATH": str(folder / "metrics.jsonl"),
            "TENSORBOARD_DIR": str(folder / "tensorboard"),
        }
        with (folder / "train.log").open("w") as log:
            running = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            try:
                status = running.wait(TIME_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                status = HUNG
        subprocess.run([str(Path(sys.executable).with_name("ray")), "stop", "--force"], check=True, capture_output=True)
        finished.write_text(str(status))
    return Ended(folder, int(finished.read_text()))


def verdict(case: Case, ended: Ended) -> tuple[bool, str]:
    """Whether it went as expected, and what the table says."""
    if case.refused:
        as_expected = ended.exit_status != 0 and case.refused in ended.output
        return as_expected, "refused at start" if as_expected else "NOT REFUSED"
    if ended.exit_status != 0:
        return False, f"ENDED WITH STATUS {ended.exit_status}"
    seen = set(ended.steps) >= {STEPS} or case.name == "val_only"
    as_expected = seen and case.sign(ended)
    return as_expected, f"works: {case.sign_is}" if as_expected else f"NO SIGN: {case.sign_is}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[case.name for case in CASES])
    parser.add_argument("--table", action="store_true", help="run nothing; print the table of what has run")
    args = parser.parse_args()
    out = args.out.resolve()
    cases = [case for case in CASES if not args.only or case.name in args.only]
    if args.table:
        print("| option | two steps on a CPU |\n| --- | --- |")
    else:
        prepare(out)
        if any(case.name == "resume_path" for case in cases):
            train(out, "saved", ("trainer.save_freq=1",))
    wrong = 0
    for case in cases:
        if args.table and not (out / case.name / "exit_status").exists():
            print(f"| {case.shown} | not run |")
            continue
        as_expected, text = verdict(case, train(out, case.name, case.overrides))
        wrong += not as_expected
        print(f"| {case.shown} | {text} |" if args.table else f"{case.name}: {text}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
