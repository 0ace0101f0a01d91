"""Real verl, Ray and vLLM on the CPU: two steps, SIGKILL, a run resumed from the checkpoint, and one that has ended."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.history.reading import read_history
from mt_grpo_recipe.simulator.replay import check_record, replay
from mt_grpo_recipe.simulator.replay_cli import settings_of

ROOT = Path(__file__).parents[2]
TASKS = ("countdown-mini", "arc-mini", "zebra-mini")
pytestmark = pytest.mark.e2e


def read_log(path):
    return {row["step"]: row["data"] for row in map(json.loads, path.read_text().splitlines())}


def by_task(data, name):
    return {task: data[f"mt_grpo/{name}/{task}"] for task in TASKS}


def targets(accuracy, *tasks):
    """The override that asks this of every one of the tasks."""
    return "mt_grpo.weights.targets={" + ", ".join(f"{task}: {accuracy}" for task in tasks) + "}"


class Run:
    """One directory that any number of attempts train in."""

    def __init__(self, folder):
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.attempts = 0

    def command(self, steps):
        return [
            *(sys.executable, "-m", "verl.trainer.main_ppo"),
            *("hydra.searchpath=[pkg://mt_grpo_recipe.config]", "+platform=cpu", "+mt_grpo=mt_grpo"),
            f"data.train_files={self.folder}/data/train.parquet",
            f"data.val_files={self.folder}/data/test.parquet",
            *("data.train_batch_size=6", "data.max_prompt_length=128", "data.max_response_length=32"),
            f"actor_rollout_ref.model.path={ROOT}/run_scripts/tiny_model/checkpoint",
            *("actor_rollout_ref.actor.optim.lr=1e-4", "actor_rollout_ref.actor.ppo_mini_batch_size=6"),
            # By a reward that does not look at the answers, what is informative does not depend on chance.
            f"reward.custom_reward_function.path={ROOT}/tests/e2e/hash_reward.py",
            *("actor_rollout_ref.rollout.n=4", "mt_grpo.sampler.quota=stratified"),
            *("mt_grpo.sampler.max_resample_rounds=1", "mt_grpo.loss_weighting=residual"),
            *("mt_grpo.weights.rule=targets", "mt_grpo.weights.stop_when_met=true"),
            *(f"trainer.total_training_steps={steps}", "trainer.test_freq=2", "trainer.save_freq=2"),
            *(f"trainer.default_local_dir={self.checkpoints}", "trainer.resume_mode=auto"),
            *("trainer.logger=[console,file]", f"hydra.run.dir={self.folder}/hydra"),
        ]

    def start(self, steps, *overrides):
        self.attempts += 1
        self.metrics = self.folder / f"metrics-{self.attempts}.jsonl"
        self.output = self.folder / f"output-{self.attempts}.log"
        with self.output.open("w") as output:
            return subprocess.Popen(
                [*self.command(steps), *overrides],
                env=os.environ | {"VERL_FILE_LOGGER_PATH": str(self.metrics)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def saved_steps(self):
        marker = self.checkpoints / "latest_checkpointed_iteration.txt"
        return int(marker.read_text() or 0) if marker.exists() else 0

    def state(self, step):
        folder = self.checkpoints / f"global_step_{step}"
        return json.loads((folder / "mt_grpo.json").read_text()), torch.load(folder / "data.pt", weights_only=False)

    def tail(self):
        return self.output.read_text()[-5000:]


@pytest.fixture(scope="module")
def run(mini_folder):
    return Run(mini_folder)


@pytest.fixture(scope="module")
def killed(run, stop_ray):
    """The run, trained until its first checkpoint stands, then killed in the middle of a later step."""
    process = run.start(50, targets(0.9, *TASKS))
    deadline = time.monotonic() + 900
    while run.saved_steps() < 2:
        assert process.poll() is None and time.monotonic() < deadline, run.tail()
        time.sleep(0.2)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stop_ray()
    run.first_metrics = run.metrics
    return run


@pytest.fixture(scope="module")
def resumed(killed):
    """The killed run, resumed with targets that are met after a few steps, which ends it."""
    killed.resumed_from = killed.saved_steps()
    process = killed.start(50, targets(0.01, *TASKS))
    assert process.wait(timeout=900) == 0, killed.tail()
    return killed


def test_the_batch_holds_the_shares_it_was_asked_for(killed):
    steps = read_log(killed.first_metrics)
    for step in (1, 2):
        data = steps[step]
        assert sum(by_task(data, "batch_share").values()) == pytest.approx(1)
        if data["mt_grpo/rounds"] == 1:
            assert by_task(data, "batch_share") == pytest.approx(by_task(data, "target_share"))
        for task, weight in by_task(data, "weight").items():
            assert abs(data[f"mt_grpo/target_share/{task}"] - weight) < 1 / 6


def test_uniform_weights_move_with_the_first_update(killed):
    steps = read_log(killed.first_metrics)
    assert by_task(steps[1], "weight") == pytest.approx(dict.fromkeys(TASKS, 1 / 3))
    assert by_task(steps[2], "weight") != pytest.approx(dict.fromkeys(TASKS, 1 / 3), abs=1e-4)


def test_validation_reports_the_worst_task_and_the_average(killed):
    data = read_log(killed.first_metrics)[2]
    accuracies = [data[f"val-core/mt_grpo/acc/{task}"] for task in TASKS]
    assert data["val-core/mt_grpo/worst_task_acc"] == min(accuracies)
    assert data["val-core/mt_grpo/avg_acc"] == pytest.approx(sum(accuracies) / 3)


def test_the_policy_was_trained(killed):
    data = read_log(killed.first_metrics)[2]
    assert math.isfinite(data["actor/grad_norm"]) and data["actor/grad_norm"] > 0


def test_a_killed_run_goes_on_with_the_weights_of_its_checkpoint(resumed):
    step = resumed.resumed_from
    settings = load_config(OmegaConf.load(resumed.folder / "hydra/.hydra/config.yaml")["mt_grpo"])
    saved = TaskController(TASKS, 6, settings)
    saved.load_state_dict(resumed.state(step)[0])
    steps = read_log(resumed.metrics)
    assert sorted(steps) == list(range(step, max(steps) + 1))
    weights = dict(zip(TASKS, saved.weights_K, strict=True))
    assert by_task(steps[step + 1], "weight") == pytest.approx(weights, abs=1e-12)
    assert by_task(steps[step + 1], "weight") != pytest.approx(dict.fromkeys(TASKS, 1 / 3), abs=1e-4)


def test_a_killed_run_goes_on_with_its_cursors_and_averages(resumed):
    first, last = resumed.resumed_from, resumed.saved_steps()
    before, cursors_before = resumed.state(first)
    after, cursors_after = resumed.state(last)
    steps = read_log(resumed.metrics)
    for task in TASKS:
        generated = sum(steps[step][f"mt_grpo/generated/{task}"] for step in range(first + 1, last + 1))
        assert cursors_after["drawn"][task] == cursors_before["drawn"][task] + generated
    assert after["steps"] == before["steps"] + last - first


def test_a_run_ends_with_a_checkpoint_once_all_is_met(resumed):
    last = max(read_log(resumed.metrics))
    assert last < 50 and resumed.saved_steps() == last
    said = f"all that mt_grpo.weights asks for is met. The run ends with the checkpoint of step {last}."
    assert said in resumed.output.read_text()


def test_the_history_of_the_resumed_run_replays_to_its_own_figures(resumed):
    history = read_history(resumed.folder)
    replayed = list(replay(history, settings_of(history, [])))
    check_record(history, replayed)
    for step, data in read_log(resumed.metrics).items():
        for name in (
            ("generated", "all_wrong", "generated_tokens", "target_share") if step > resumed.resumed_from else ()
        ):
            assert by_task(replayed[step - 1].metrics, name) == by_task(data, name)
        # What an update brings each task is logged beside what it was sampled from.
        assert step == resumed.resumed_from or sum(by_task(data, "advantage_mass").values()) > 0


def test_resuming_with_another_set_of_tasks_is_refused_naming_both(resumed):
    process = resumed.start(50, "mt_grpo.tasks=[arc-mini,zebra-mini]", targets(0.01, "arc-mini", "zebra-mini"))
    assert process.wait(timeout=600) != 0
    output = resumed.output.read_text()
    assert "cannot be resumed" in output
    assert "countdown-mini" in output


def test_a_run_that_has_ended_is_left_alone(resumed):
    last = resumed.saved_steps()
    process = resumed.start(50, targets(0.01, *TASKS))
    assert process.wait(timeout=900) == 0, resumed.tail()
    assert resumed.saved_steps() == last


def test_steps_without_any_gradient_are_skipped_and_said_and_the_run_goes_on(run, tmp_path):
    """A validation whose every reward raises is left out, and names the exception."""
    (tmp_path / "reward.py").write_text(
        "def compute_score(extra_info=None, **_):\n"
        "    if extra_info['split'] == 'test':\n"
        "        return float(extra_info['answer_key'])\n"
        "    return {'score': 0.0, 'acc': 0.0, 'format': 0.0}\n"
    )
    hopeless = Run(tmp_path)
    (tmp_path / "data").symlink_to(run.folder / "data")
    reward = f"reward.custom_reward_function.path={tmp_path}/reward.py"
    process = hopeless.start(3, targets(0.9, *TASKS), reward, "trainer.val_before_train=False", "trainer.test_freq=2")
    assert process.wait(timeout=600) == 0, hopeless.tail()
    steps, output = read_log(hopeless.metrics), hopeless.output.read_text()
    for step in (1, 2, 3):
        assert steps[step]["mt_grpo/skipped_update"] == 1
        assert steps[step]["mt_grpo/rounds"] == 2
        assert set(by_task(steps[step], "accuracy").values()) == {0.0}
    assert "actor/grad_norm" not in steps[2]
    assert "Step 2 is skipped: after its whole budget no group is informative" in output
    assert "of a validation batch failed at step 2" in output and "KeyError: 'answer_key'" in output
    assert not any(name.startswith("val-") for data in steps.values() for name in data)
