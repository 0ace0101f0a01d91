"""Real runs in which what is around the sampler misbehaves: they say what is missing and go on, or stop and say why."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.prepare import draw

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.e2e
SOUND, SINGLE, RAISES, NAN, KEYS = "../../sound task", "one\nrow", 'raises "$(now)" {x}', "nan_☃", "wrong/keys"
METRIC_NAMES = {SOUND: "..-..-sound-task", SINGLE: "one-row", RAISES: "raises-now-x", NAN: "nan", KEYS: "wrong-keys"}
REWARD = f"""
import os
from collections import Counter
from pathlib import Path

from reward_fns import compute_score as sound

DIED = Path(__file__).with_name("died")
calls = Counter()


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    task = extra_info["task"]
    calls[task] += 1
    if task == {SOUND!r} and not DIED.exists():
        DIED.touch()
        os._exit(9)
    if task == {RAISES!r} and calls[task] % 40 == 0:
        raise RuntimeError("the judge is out")
    if task == {KEYS!r}:
        return {{"points": 1.0}}
    result = sound(data_source, solution_str, ground_truth, extra_info, **kwargs)
    if task == {NAN!r} and calls[task] % 40 == 0:
        result["score"] = float("nan")
    return result
"""


def write(path, puzzles_of):
    rows = [
        {
            "data_source": "arc-mini",
            "prompt": [{"content": puzzle.prompt, "role": "user"}],
            "ability": "logic",
            "reward_model": {"ground_truth": puzzle.ground_truth, "style": "rule"},
            "extra_info": {"task": task, "index": i},
        }
        for task, puzzles in puzzles_of.items()
        for i, puzzle in enumerate(puzzles)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


ALL_RAISE = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    return float(extra_info["answer_key"] == solution_str)
"""


def train(folder, *overrides):
    """Train on the files in `folder`; the finished process, and what it printed."""
    command = [
        *(sys.executable, "-m", "verl.trainer.main_ppo", "hydra.searchpath=[pkg://mt_grpo_recipe.config]"),
        *("+platform=cpu", "+mt_grpo=mt_grpo_stream", "+experiment=mini"),
        *(f"data.train_files={folder}/train.parquet", f"data.val_files={folder}/test.parquet"),
        *("data.train_batch_size=15", "actor_rollout_ref.actor.ppo_mini_batch_size=15"),
        *("actor_rollout_ref.rollout.n=4", "mt_grpo.sampler.max_resample_rounds=4"),
        f"actor_rollout_ref.model.path={ROOT}/run_scripts/tiny_model/checkpoint",
        f"reward.custom_reward_function.path={folder}/reward.py",
        *("trainer.total_training_steps=2", "trainer.save_freq=2", "trainer.test_freq=2"),
        *("trainer.val_before_train=False", f"trainer.default_local_dir={folder}/checkpoints"),
        f"hydra.run.dir={folder}/hydra",
        *overrides,
    ]
    result = subprocess.run(
        command,
        env=os.environ | {"VERL_FILE_LOGGER_PATH": str(folder / "metrics.jsonl")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return result, result.stdout + result.stderr


def steps_logged(folder):
    """Metrics by step."""
    return {row["step"]: row["data"] for row in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Metrics by step, what was decided, and what the run printed: two steps on five tasks of the same puzzles."""
    folder = tmp_path_factory.mktemp("faults")
    (train_puzzles,), (test,) = (list(split.values()) for split in draw({"arc-mini": 81}, test=1))
    places = {SINGLE: (0, 1), SOUND: (1, 21), RAISES: (21, 41), NAN: (41, 61), KEYS: (61, None)}
    write(folder / "train.parquet", {task: train_puzzles[slice(*place)] for task, place in places.items()})
    write(folder / "test.parquet", {SOUND: test})
    (folder / "reward.py").write_text(REWARD)
    result, output = train(folder)
    assert result.returncode == 0, output[-5000:]
    assert (folder / "died").exists()
    decisions = [json.loads(line) for line in (folder / "checkpoints/decisions.jsonl").read_text().splitlines()]
    return steps_logged(folder), decisions, output


def test_tasks_of_any_name_are_told_apart_in_the_metrics(run):
    steps, _, _ = run
    for step in (1, 2):
        assert {name.split("/")[-1] for name in steps[step] if name.startswith("mt_grpo/weight/")} == set(
            METRIC_NAMES.values()
        )
    assert 0 <= steps[2][f"val-core/mt_grpo/acc/{METRIC_NAMES[SOUND]}"] <= 1


def test_groups_whose_reward_raised_or_was_no_number_are_replaced(run):
    steps, _, output = run
    assert "the judge is out" in output
    for task in (RAISES, NAN):
        assert sum(steps[step][f"mt_grpo/batch_share/{METRIC_NAMES[task]}"] for step in (1, 2)) > 0
    assert all(steps[step]["actor/grad_norm"] < float("inf") for step in (1, 2))


def test_a_reward_worker_that_dies_comes_back(run):
    # What the worker had in hand when it died was scored by its successor: no group of these tasks failed.
    steps, _, _ = run
    for step in (1, 2):
        for task in (SOUND, SINGLE):
            assert steps[step][f"mt_grpo/failed/{METRIC_NAMES[task]}"] == 0
            assert steps[step][f"mt_grpo/generated_rollouts/{METRIC_NAMES[task]}"] > 0


def test_a_task_whose_reward_never_works_is_short_and_named_and_training_goes_on(run):
    steps, _, output = run
    for step in (1, 2):
        assert steps[step][f"mt_grpo/batch_share/{METRIC_NAMES[KEYS]}"] == 0
        assert steps[step][f"mt_grpo/shortfall/{METRIC_NAMES[KEYS]}"] > 0
        assert steps[step]["mt_grpo/failed_groups"] > 0
        assert steps[step]["mt_grpo/skipped_update"] == 0
    assert f"Step {step}: tasks short of their quota" in output
    assert f"{KEYS!r} 0 of " in output


def test_a_task_of_one_row_repeats_it(run):
    _, decisions, _ = run
    tasks = [SINGLE, SOUND, RAISES, NAN, KEYS]
    for decision in decisions:
        assert decision["quota"][tasks.index(SINGLE)] > 1
        assert decision["rows"].count(0) > 1


@pytest.fixture
def folder(tmp_path):
    """Twenty puzzles of one task to train on, and one to validate on."""
    (train_puzzles,), (test,) = (list(split.values()) for split in draw({"arc-mini": 20}, test=1))
    write(tmp_path / "train.parquet", {SOUND: train_puzzles})
    write(tmp_path / "test.parquet", {SOUND: test})
    return tmp_path


def test_a_run_whose_every_reward_raises_stops_with_an_error_that_names_the_exception(folder):
    (folder / "reward.py").write_text(ALL_RAISE)
    # Without validation, whose every reward raises, too.
    few = ("mt_grpo.sampler.max_resample_rounds=0", "trainer.total_training_steps=9", "trainer.save_freq=1")
    result, output = train(folder, *few, "trainer.test_freq=-1")
    assert result.returncode != 0
    assert "Every group failed in 3 steps in a row, the last of them step 3" in output, output[-5000:]
    assert "Traceback (most recent call last)" in output and "KeyError: 'answer_key'" in output
    assert (folder / "checkpoints/latest_checkpointed_iteration.txt").read_text().strip() == "2"
