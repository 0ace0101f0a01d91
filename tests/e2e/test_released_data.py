"""A script of the paper over files in the schema of the released data, with the tiny model on the CPU."""

import json
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.prepare import draw

ROOT = Path(__file__).parents[2]
TASKS = ("2-countdown", "2-zebra", "2-arc")
pytestmark = pytest.mark.e2e


def write_released(folder, rows, split):
    """One file a family: extra_info names difficulty and type, and each family has a ground truth of its own type."""
    paths = []
    for task, puzzles in rows.items():
        family = task.split("-")[0]
        records = [
            {
                "data_source": f"{family}-medium-{split}",
                # The tiny model was trained to answer after this sign, which a raw prompt has to bring along.
                "prompt": [{"content": puzzle.prompt + "\n>", "role": "user"}],
                "ability": "math",
                "reward_model": {"ground_truth": puzzle.ground_truth, "style": "rule"},
                "extra_info": {"difficulty": 2, "index": i, "question": "", "split": split, "type": family},
            }
            for i, puzzle in enumerate(puzzles)
        ]
        paths.append(str(folder / f"{split}_{family}.parquet"))
        pq.write_table(pa.Table.from_pylist(records), paths[-1])
    return f"[{','.join(paths)}]"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The run's folder: two steps of run_scripts/exp1/mt_grpo_0.2.sh."""
    folder = tmp_path_factory.mktemp("released")
    train, test = draw(dict.fromkeys(("countdown-mini", "zebra-mini", "arc-mini"), 40), test=3)
    command = [
        *("bash", "run_scripts/exp1/mt_grpo_0.2.sh", "+platform=cpu"),
        f"data.train_files={write_released(folder, train, 'train')}",
        f"data.val_files={write_released(folder, test, 'test')}",
        *("data.train_batch_size=6", "data.max_prompt_length=128", "data.max_response_length=32"),
        *("actor_rollout_ref.actor.ppo_mini_batch_size=6", "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=16384"),
        *("actor_rollout_ref.rollout.n=4", "mt_grpo.sampler.max_resample_rounds=1"),
        *("trainer.total_training_steps=2", "trainer.test_freq=2", "trainer.val_before_train=False"),
        *("trainer.save_freq=-1", f"trainer.rollout_data_dir={folder}/rollouts", f"hydra.run.dir={folder}/hydra"),
    ]
    variables = {
        "MODEL": str(ROOT / "run_scripts/tiny_model/checkpoint"),
        "OUT_DIR": str(folder / "out"),
        "N_GPUS": "1",
        "VIRTUAL_ENV": os.environ.get("VIRTUAL_ENV", "active"),
    }
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-5000:]
    return folder


def test_tasks_are_named_by_difficulty_and_type(released):
    (log,) = (released / "out").glob("metrics-*.jsonl")
    steps = {row["step"]: row["data"] for row in map(json.loads, log.read_text().splitlines())}
    for task in TASKS:
        assert steps[1][f"mt_grpo/generated/{task}"] > 0
        assert 0 <= steps[2][f"val-core/mt_grpo/acc/{task}"] <= 1


def test_prompts_reach_the_model_raw(released):
    prompts = {
        row["prompt"][0]["content"]
        for path in released.glob("train_*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    rollouts = [
        json.loads(line) for path in (released / "rollouts").glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert rollouts and {rollout["input"] for rollout in rollouts} <= prompts


def test_truths_of_every_type_are_graded(released):
    rollouts = [
        json.loads(line) for path in (released / "rollouts").glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    # A strict filter lets only groups through of which some rollouts are right and some are not.
    scores = {rollout["score"] for rollout in rollouts}
    assert max(scores) == 1.0 and min(scores) < 1.0
