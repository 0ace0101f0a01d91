"""Real verl, Ray and vLLM on the CPU with rollouts beside the training: four steps, and a fifth from the checkpoint."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TASKS = ("countdown-mini", "arc-mini", "zebra-mini")
BATCH = 6
WINDOW = 5 * BATCH
pytestmark = pytest.mark.e2e


def by_task(data, name):
    return {task: data[f"mt_grpo/{name}/{task}"] for task in TASKS}


def train(folder, steps):
    """Train up to a step, from the latest checkpoint if there is one; what was logged, by step."""
    metrics, output = folder / f"metrics-{steps}.jsonl", folder / f"output-{steps}.log"
    command = [
        *(sys.executable, "-m", "verl.trainer.main_ppo", "hydra.searchpath=[pkg://mt_grpo_recipe.config]"),
        *("+mt_grpo=mt_grpo_async", "+experiment=mini", "+platform=cpu"),
        *(f"data.train_files={folder}/data/train.parquet", f"data.val_files={folder}/data/test.parquet"),
        f"actor_rollout_ref.model.path={ROOT}/run_scripts/tiny_model/checkpoint",
        *(f"data.train_batch_size={BATCH}", f"actor_rollout_ref.actor.ppo_mini_batch_size={BATCH}"),
        # One rollout at a time, so that the engine is still at work when a batch is settled.
        *("actor_rollout_ref.rollout.n=4", "actor_rollout_ref.rollout.max_num_seqs=1"),
        *("trainer.v1.separate_async.num_warmup_batches=5", "trainer.v1.sampler.max_off_policy_threshold=2"),
        *(f"trainer.total_training_steps={steps}", "trainer.save_freq=4", "trainer.test_freq=4"),
        *("trainer.val_before_train=False", "trainer.resume_mode=auto"),
        *(f"trainer.default_local_dir={folder}/checkpoints", f"hydra.run.dir={folder}/hydra"),
    ]
    environment = os.environ | {"VERL_FILE_LOGGER_PATH": str(metrics)}
    with output.open("w") as file:
        process = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.STDOUT, timeout=900)
    assert process.returncode == 0, output.read_text()[-5000:]
    return {row["step"]: row["data"] for row in map(json.loads, metrics.read_text().splitlines())}


@pytest.fixture(scope="module")
def steps(mini_folder):
    return train(mini_folder, 4)


@pytest.fixture(scope="module")
def resumed(mini_folder, steps):
    return train(mini_folder, 5)


def saved(folder, step):
    return json.loads((folder / f"checkpoints/global_step_{step}/mt_grpo.json").read_text())


def test_every_batch_holds_the_shares_it_was_asked_for(steps):
    assert sorted(steps) == [1, 2, 3, 4]
    for data in steps.values():
        if not sum(by_task(data, "shortfall").values()):
            assert by_task(data, "batch_share") == pytest.approx(by_task(data, "target_share"))
        for task, weight in by_task(data, "weight").items():
            assert abs(data[f"mt_grpo/target_share/{task}"] - weight) < 1 / BATCH


def test_the_policy_and_the_weights_move_every_step(steps):
    for data in steps.values():
        assert math.isfinite(data["actor/grad_norm"]) and data["actor/grad_norm"] > 0
        assert any(value != 0 for value in by_task(data, "improvement").values())
    weights = [tuple(by_task(data, "weight").values()) for data in steps.values()]
    assert weights[0] == pytest.approx((1 / 3,) * 3)
    assert len(set(weights)) == len(weights)


def test_groups_wait_for_later_batches_across_weight_syncs(steps):
    assert all(data["mt_grpo/held_groups"] >= WINDOW for data in steps.values())
    assert max(data["training/off_policy/trajectory_staleness_worst/max"] for data in steps.values()) > 0


def test_nothing_older_than_the_threshold_is_trained_on(steps):
    # Two batches take what they need of the prompts of the first step, and the third drops the rest.
    assert steps[3]["mt_grpo/stale_groups"] > 0
    assert all(data["training/off_policy/trajectory_staleness_worst/max"] <= 1 for data in steps.values())


def test_a_resumed_run_goes_on_with_the_groups_in_flight_and_in_stock(mini_folder, resumed):
    assert sorted(resumed) == [5]
    before, after = saved(mini_folder, 4), saved(mini_folder, 5)
    assert after["steps"] == before["steps"] + 1
    assert len(before["held"]) >= WINDOW
    assert "are not in its transfer_queue folder" not in (mini_folder / "output-5.log").read_text()
    assert len(before["held_uids"]) == len(before["held"]) and len(after["held_uids"]) == len(after["held"])
    kept_on = [uid for uid in before["held_uids"] if uid in set(after["held_uids"])]
    assert kept_on == after["held_uids"][: len(kept_on)]
    # Launch ids begin with the groups that were held and are not too old. They end in the batch or wait on;
    # how many do which is a matter of time.
    decision = json.loads((mini_folder / "checkpoints/decisions.jsonl").read_text().splitlines()[-1])
    taken = [i for i in decision["chosen"] if i < len(before["held"]) - resumed[5]["mt_grpo/stale_groups"]]
    assert decision["step"] == 5 and taken + kept_on
    weights = [math.exp(logit) for logit in before["weights"]["logits"]]
    assert list(by_task(resumed[5], "weight").values()) == pytest.approx([w / sum(weights) for w in weights])
