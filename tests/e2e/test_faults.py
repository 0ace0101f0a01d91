"""A real run in which all around the sampler misbehaves: it ends each step, says what was missing, and goes on."""

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
from collections import Counter

from reward_fns import compute_score as sound

calls = Counter()


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    task = extra_info["task"]
    calls[task] += 1
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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Metrics by step, and what the run printed: two steps on five tasks of the same puzzles."""
    folder = tmp_path_factory.mktemp("faults")
    (train,), (test,) = (list(split.values()) for split in draw({"arc-mini": 81}, test=1))
    shares = {SINGLE: train[:1], SOUND: train[1:21], RAISES: train[21:41], NAN: train[41:61], KEYS: train[61:]}
    write(folder / "train.parquet", shares)
    write(folder / "test.parquet", {SOUND: test})
    (folder / "reward.py").write_text(REWARD)
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
    output = result.stdout + result.stderr
    assert result.returncode == 0, output[-5000:]
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    steps = {row["step"]: row["data"] for row in map(json.loads, lines)}
    decisions = [json.loads(line) for line in (folder / "checkpoints/decisions.jsonl").read_text().splitlines()]
    return steps, decisions, output


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


def test_a_task_whose_reward_never_works_is_short_and_named_and_training_goes_on(run):
    steps, _, output = run
    for step in (1, 2):
        assert steps[step][f"mt_grpo/batch_share/{METRIC_NAMES[KEYS]}"] == 0
        assert steps[step][f"mt_grpo/shortfall/{METRIC_NAMES[KEYS]}"] > 0
        assert steps[step]["mt_grpo/failed_groups"] > 0
        assert steps[step]["mt_grpo/skipped_update"] == 0
    assert f"Step {step}: short of its quota" in output
    assert f"{KEYS!r} 0 of " in output


def test_a_task_of_one_row_repeats_it(run):
    _, decisions, _ = run
    tasks = [SINGLE, SOUND, RAISES, NAN, KEYS]
    for decision in decisions:
        assert decision["quota"][tasks.index(SINGLE)] > 1
        assert decision["rows"].count(0) > 1
