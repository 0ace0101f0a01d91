"""Kill a real CPU run at random moments, resume it each time, and compare what it decided with a run left alone.

    python tests/e2e/kill_and_resume.py -o DIR [--method mt_grpo_reg] [--kills 10] [--steps 40] [--seed 0] [OVERRIDES]

It takes minutes per kill. A kill comes up to five seconds after a step that is drawn too, the first to the sixth of an
attempt, so that it falls into any part of a step, a checkpoint included; every fifth comes before the attempt has made
a step.

The reward does not look at the answer (`hash_reward.py`), so both runs are given the same rewards. The weights of the
default method follow the accuracies alone (rule `regularized`), so nothing that the engine samples reaches a decision.
Then weights, quotas, rows asked for and groups chosen have to be equal, step for step. Exit status 0 if they are.

With another --method the two may differ although nothing is wrong: where the improvement moves the weights, because it
depends on what the engine samples; with a streaming sampler, because what it asks for depends on which groups have
ended by then. The exit status is then 1, and the last lines say whether the run reached its last step.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hash_reward import ROLLOUTS

ROOT = Path(__file__).parents[2]
REWARD = Path(__file__).with_name("hash_reward.py")
TINY_MODEL = ROOT / "run_scripts" / "tiny_model" / "checkpoint"


@dataclass(frozen=True)
class Training:
    """What is trained, wherever it is trained."""

    data: Path
    method: str
    steps: int
    overrides: list[str]


def start(folder: Path, training: Training) -> subprocess.Popen:
    """Start the training run, or resume it."""
    command = [
        *(sys.executable, "-m", "verl.trainer.main_ppo", "hydra.searchpath=[pkg://mt_grpo_recipe.config]"),
        *("+platform=cpu", f"+mt_grpo={training.method}", "+experiment=mini"),
        *(f"data.train_files={training.data}/train.parquet", f"data.val_files={training.data}/test.parquet"),
        *("data.train_batch_size=6", "actor_rollout_ref.actor.ppo_mini_batch_size=6"),
        *(f"actor_rollout_ref.rollout.n={ROLLOUTS}", "mt_grpo.sampler.quota=multinomial"),
        f"actor_rollout_ref.model.path={TINY_MODEL}",
        f"reward.custom_reward_function.path={REWARD}",
        *(f"trainer.total_training_steps={training.steps}", "trainer.save_freq=1", "trainer.max_actor_ckpt_to_keep=2"),
        *("trainer.val_before_train=False", "trainer.test_freq=-1", "trainer.resume_mode=auto"),
        *(f"trainer.default_local_dir={folder}/checkpoints", f"hydra.run.dir={folder}/hydra"),
        *training.overrides,
    ]
    environment = os.environ | {"VERL_FILE_LOGGER_PATH": str(folder / f"metrics-{time.time_ns()}.jsonl")}
    with (folder / "train.log").open("a") as log:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def decisions(folder: Path) -> list[dict]:
    """What the run decided so far, one entry per step."""
    path = folder / "checkpoints" / "decisions.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def stop_ray() -> None:
    """Stop what a killed run leaves behind."""
    ray = Path(sys.executable).with_name("ray")
    subprocess.run([str(ray), "stop", "--force"], check=True, capture_output=True)


def run_alone(folder: Path, training: Training) -> bool:
    """Run the whole of it without a kill, unless that was done before; return whether it succeeded."""
    done = len(decisions(folder)) >= training.steps or start(folder, training).wait() == 0
    stop_ray()
    return done


def kill_once(folder: Path, training: Training, after: int, wait_s: float) -> str:
    """Start or resume the run, kill it `wait_s` seconds after `after` more steps, and say how that went."""
    before = len(decisions(folder))
    process = start(folder, training)
    while process.poll() is None and len(decisions(folder)) < before + after:
        time.sleep(0.05)
    try:
        process.wait(timeout=wait_s)
        return f"the run had ended by itself with status {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"{wait_s:.1f} s after step {before + after}, {len(decisions(folder))} steps decided"
    finally:
        stop_ray()


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--method", default="mt_grpo_reg", help="config in mt_grpo_recipe/config/mt_grpo (%(default)s)")
    parser.add_argument("overrides", nargs="*", help="further overrides of verl's config")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the moments to kill at")
    return parser.parse_args()


def main() -> int:
    """Run both, compare, and print one line per kill and the verdict."""
    args = arguments()
    data, alone, killed = (args.out.resolve() / name for name in ("data", "alone", "killed"))
    prepare = Path(sys.executable).with_name("mt-grpo")
    subprocess.run([str(prepare), "prepare", "--train", "40", "--test", "2", "-o", str(data)], check=True)
    killed.mkdir()
    alone.mkdir(exist_ok=True)
    training = Training(data, args.method, args.steps, args.overrides)
    if not run_alone(alone, training):
        print(f"the run that was left alone failed: see {alone}/train.log")
        return 1
    moments = random.Random(args.seed)
    for number in range(1, args.kills + 1):
        after, wait_s = moments.randint(1, 6), moments.uniform(0, 5)
        if number % 5 == 0:
            after, wait_s = 0, moments.uniform(0, 60)
        print(f"kill {number}: {kill_once(killed, training, after, wait_s)}", flush=True)
    status = start(killed, training).wait()
    stop_ray()
    expected, got = decisions(alone), decisions(killed)
    logged = {json.loads(line)["step"] for path in killed.glob("metrics-*") for line in path.read_text().splitlines()}
    equal = expected == got and len(got) == args.steps
    print(f"last run: status {status}; {len(got)} of {args.steps} steps decided; equal to the run left alone: {equal}")
    print(f"steps in the logs of all attempts: {len(logged - {0})} of {args.steps}")
    return 0 if status == 0 and equal else 1


if __name__ == "__main__":
    sys.exit(main())
