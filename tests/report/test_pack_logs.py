"""The packed log of a run tells the report what the log itself does."""

import subprocess
import sys
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("out", ["runs", "runs/done", "runs/../runs", "link", "runs/done/deep", "."])
def test_runs_are_not_packed_over_themselves(tmp_path, out):
    runs = tmp_path / "runs"
    (write_run(runs / "done", seed=3, steps=5) / "finished").touch()
    (tmp_path / "link").symlink_to("runs")
    if out == ".":  # The folder of the folder, in which a run is named like it.
        (runs / "done").rename(runs / "runs")
    before = {file: file.read_bytes() for file in runs.rglob("*") if file.is_file()}
    ended = pack(runs, "-o", tmp_path / out)
    assert ended.returncode == 2 and "would replace the logs that are packed: choose another -o" in ended.stderr
    assert {file: file.read_bytes() for file in runs.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("lacks", ["run.json", "attempt-1.jsonl"])
def test_nothing_is_removed_before_everything_is_packed(tmp_path, lacks):
    runs, out = tmp_path / "runs", tmp_path / "out"
    for name in ("a", "b"):
        (write_run(runs / name, steps=5) / "finished").touch()
    assert pack(runs, "-o", out).returncode == 0
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    (runs / "b" / lacks).unlink()
    write_run(runs / "a", steps=6)
    ended = pack(runs, "-o", out)
    assert ended.returncode == 2 and f"{runs / 'b'} holds no " in ended.stderr
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_histories_beside_a_log_are_not_packed_and_packed_logs_stay_packed(tmp_path):
    run = write_run(tmp_path / "runs" / "done", steps=5)
    (run / "finished").touch()
    (run / "decisions.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    assert pack(tmp_path / "runs", "-o", tmp_path / "once").returncode == 0
    (tmp_path / "once" / "done" / "finished").touch()
    assert pack(tmp_path / "once", "-o", tmp_path / "twice").returncode == 0
    names = ["attempt-1.jsonl.gz", "run.json"]
    assert sorted(file.name for file in (tmp_path / "twice" / "done").iterdir()) == names
    once, twice = ((tmp_path / folder / "done" / names[0]).read_bytes() for folder in ("once", "twice"))
    assert once == twice
