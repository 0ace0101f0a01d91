"""Two steps of a run, as the report reads them."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import train

from mt_grpo_recipe.metrics import TASK_METRICS
from mt_grpo_recipe.report.read.log import read_run

TASKS = ("countdown-mini", "arc-mini", "zebra-mini")


def arguments(data, out, method="mt_grpo"):
    return ["--method", method, "--seed", "4", "--steps", "2", "--data", str(data), "-o", str(out)]


@pytest.fixture(scope="module")
def out(data, tmp_path_factory):
    """A run in a process of its own, which must not load the training stack."""
    folder = tmp_path_factory.mktemp("lab") / "run"
    script = (
        "import sys, train; "
        f"assert train.main({arguments(data, folder)!r}) == 0; "
        "loaded = {'verl', 'ray', 'vllm'} & set(sys.modules); assert not loaded, loaded"
    )
    # A child of pytest does not have its `pythonpath`.
    path = os.pathsep.join([str(Path(train.__file__).parent), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return folder


def lines(folder):
    """The log without its times."""
    return [
        {name: value for name, value in json.loads(line)["data"].items() if not name.startswith("timing_s/")}
        for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]


def test_the_report_reads_the_log(out):
    run = read_run(out)
    assert (run.method, run.seed, run.problems) == ("mt_grpo", 4, ())
    assert run.trained_tasks == TASKS and run.train_steps.tolist() == [1, 2]
    for metric in TASK_METRICS.keys() - {"advantage", "loss_weight", "owed", "short_of", "unmet", "out_of_reach"}:
        found = {step for task in TASKS for step in run.series(f"mt_grpo/{metric}/{task}").steps.tolist()}
        assert found == {1, 2}, metric
    for metric in (
        "mt_grpo/rounds",
        "mt_grpo/total_rollouts",
        "timing_s/step",
        "timing_s/gen",
        "timing_s/update_actor",
        "response_length/mean",
    ):
        assert run.series(metric).steps.tolist() == [1, 2], metric
    assert run.series("val-core/mt_grpo/worst_task_acc").steps.tolist() == [0, 2]
    assert run.series("val-core/mt_grpo/avg_acc").steps.tolist() == [0, 2]


def test_all_numbers_are_finite(out):
    raw = [json.loads(line)["data"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(value) for data in raw for value in data.values())
    assert raw[1]["actor/grad_norm"] > 0


def test_the_same_seed_gives_the_same_log(data, out, tmp_path):
    assert train.main(arguments(data, tmp_path / "again")) == 0
    assert lines(tmp_path / "again") == lines(out)


def test_a_finished_run_is_left_as_it_is(data, out, capsys):
    before = (out / "metrics.jsonl").read_bytes()
    assert train.main(arguments(data, out)) == 0 and "finished already" in capsys.readouterr().out
    assert (out / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("method", ["grpo", "sec_dapo", "mt_grpo_stream"])
def test_other_methods_train_and_are_validated_as_often_as_asked(data, tmp_path, method):
    assert train.main([*arguments(data, tmp_path / "run", method), "--name", "mine", "trainer.test_freq=1"]) == 0
    run = read_run(tmp_path / "run")
    assert run.method == "mine" and run.series("val-core/mt_grpo/avg_acc").steps.tolist() == [0, 1, 2]


def test_how_often_a_run_is_validated_does_not_change_it(data, out, tmp_path):
    assert train.main([*arguments(data, tmp_path / "run"), "trainer.test_freq=1"]) == 0
    trained, often = (
        [{name: value for name, value in line.items() if not name.startswith("val-core/")} for line in lines(folder)]
        for folder in (out, tmp_path / "run")
    )
    assert trained == often


def test_a_budget_of_rollouts_ends_the_run_and_spaces_the_validations(data, tmp_path):
    """Five groups of 8 rollouts per step: validated past 64 and 128 rollouts, ended past 150."""
    options = ["--method", "grpo", "--data", str(data), "--rollouts", "150", "--validate-rollouts", "64"]
    batch = ["data.train_batch_size=5", "actor_rollout_ref.actor.ppo_mini_batch_size=5"]
    assert train.main([*options, "-o", str(tmp_path / "run"), *batch]) == 0
    run = read_run(tmp_path / "run")
    assert run.series("mt_grpo/total_rollouts").values.tolist() == [40, 80, 120, 160]
    assert run.series("val-core/mt_grpo/worst_task_acc").steps.tolist() == [0, 2, 4]


def test_a_run_ends_where_all_is_met_and_is_validated_there(data, tmp_path, capsys):
    easy = ["mt_grpo.weights.targets={zebra-mini: 0.001}", "mt_grpo.weights.stop_when_met=true"]
    for name, length in (("steps", ["--steps", "40"]), ("rollouts", ["--rollouts", "3840"])):
        options = ["--method", "mt_grpo_targets", "--data", str(data), *length, "-o", str(tmp_path / name), *easy]
        assert train.main(options) == 0
        run = read_run(tmp_path / name)
        last = int(run.train_steps[-1])
        assert last < 40 and run.series("mt_grpo/unmet/zebra-mini").values[-1] == 0
        assert run.series("val-core/mt_grpo/avg_acc").steps[-1] == last


def test_a_target_out_of_reach_is_named(data, tmp_path, capsys):
    asked = ["mt_grpo.weights.targets={countdown-mini: 1}", "mt_grpo.weights.patience=1"]
    options = ["--method", "mt_grpo_targets", "--data", str(data), "--steps", "12", "-o", str(tmp_path / "run")]
    assert train.main([*options, *asked]) == 0
    assert "Task 'countdown-mini' has made no progress toward its target 1.000" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["dump", "gdro", "proportional"])
def test_the_baselines_train(data, tmp_path, method):
    assert train.main(arguments(data, tmp_path / "run", method)) == 0
    assert read_run(tmp_path / "run").train_steps.tolist() == [1, 2]


def test_a_setting_it_lacks_is_refused_before_anything_is_written(data, tmp_path, capsys):
    assert train.main([*arguments(data, tmp_path / "run", "grpo"), "algorithm.use_kl_in_reward=True"]) == 1
    assert "algorithm.use_kl_in_reward=True" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
