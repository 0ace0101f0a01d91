"""The packed log of a run tells the report what the log itself does."""

import subprocess
import sys
from pathlib import Path

from synthetic import write_run

from mt_grpo_recipe.report.read.log import read_run

SCRIPT = Path(__file__).resolve().parents[2] / "run_scripts" / "mini" / "pack_logs.py"


def pack(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_finished_runs_are_packed_with_their_numbers_and_others_left(tmp_path):
    runs, out = tmp_path / "runs", tmp_path / "out"
    done = write_run(runs / "done", seed=3, steps=20)
    (done / "finished").touch()
    write_run(runs / "going", seed=4, steps=10)
    assert pack(runs, "-o", out).returncode == 0
    assert [run.name for run in out.iterdir()] == ["done"]
    whole, packed = read_run(done), read_run(out / "done")
    assert (packed.method, packed.seed, packed.tasks) == (whole.method, whole.seed, whole.tasks)
    kept = {name for data in packed.records.values() for name in data}
    assert any(name.startswith("mt_grpo/weight/") for name in kept) and "timing_s/step" in kept
    for step, data in packed.records.items():
        assert data == {name: value for name, value in whole.records[step].items() if name in kept}


def test_the_metrics_to_keep_can_be_named(tmp_path):
    (write_run(tmp_path / "runs" / "done", seed=3, steps=20) / "finished").touch()
    assert pack(tmp_path / "runs", "-o", tmp_path / "out", "--keep", "mt_grpo/weight/", "timing_s/step").returncode == 0
    kept = {name for data in read_run(tmp_path / "out" / "done").records.values() for name in data}
    assert "timing_s/step" in kept and any(name.startswith("mt_grpo/weight/") for name in kept)
    assert all(name.startswith(("mt_grpo/weight/", "timing_s/step")) for name in kept)


def test_numbers_can_be_rounded(tmp_path):
    (write_run(tmp_path / "runs" / "done", seed=3, steps=20) / "finished").touch()
    assert pack(tmp_path / "runs", "-o", tmp_path / "out", "--digits", "3").returncode == 0
    whole, rounded = read_run(tmp_path / "runs" / "done"), read_run(tmp_path / "out" / "done")
    for step, data in rounded.records.items():
        for name, value in data.items():
            assert value == float(f"{whole.records[step][name]:.3g}"), name


def test_what_a_killed_attempt_left_half_written_is_left_out_and_said(tmp_path):
    run = write_run(tmp_path / "runs" / "killed", seed=3, steps=20)
    (run / "finished").touch()
    log = next(run.glob("*.jsonl"))
    log.write_text(log.read_text().rstrip("\n")[:-7])
    ended = pack(tmp_path / "runs", "-o", tmp_path / "out")
    assert ended.returncode == 0 and log.name in ended.stdout
    assert list(read_run(tmp_path / "out" / "killed").records) == list(read_run(run).records)


def test_without_a_finished_run_it_says_what_marks_one(tmp_path):
    ended = pack(tmp_path, "-o", tmp_path / "out")
    assert ended.returncode == 2 and "run_all.sh marks each" in ended.stderr
