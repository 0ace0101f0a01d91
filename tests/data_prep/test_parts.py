"""Parts of an unfinished run: the same from any number of workers, reused after a kill, never mixed up."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from data_prep import arc, parts
from data_prep.parts import Parts
from data_prep.prepare import Contents, prepare

pytestmark = pytest.mark.slow

WANTED = {"countdown-mini": 20, "zebra-mini": 15, "zebra-easy": 10, "arc-easy": 20, "rg:leg_counting": 10}
SLOW = ["--tasks", "zebra:mini,arc:easy", "--train", "280", "--test", "20", "--seed", "1"]


def files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def start(directory, *options):
    program = "from mt_grpo_recipe.cli import main; main()"
    command = [sys.executable, "-c", program, "prepare", *SLOW, *options, "-o", str(directory)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_any_number_of_workers_and_any_size_of_parts_give_the_same_files(tmp_path, monkeypatch):
    """Each worker is a fresh process with string hashes of its own."""
    prepare(Contents(WANTED, test=5, seed=2), tmp_path / "alone")
    assert set(files(tmp_path / "alone")) == {"train.parquet", "test.parquet", "manifest.json"}
    monkeypatch.setattr(parts, "PART_SIZE", 7)
    for workers in (1, 2):
        prepare(Contents(WANTED, test=5, seed=2), tmp_path / str(workers), workers=workers)
        assert files(tmp_path / str(workers)) == files(tmp_path / "alone")


def test_a_killed_run_leaves_no_process_and_goes_on_to_the_same_files(tmp_path):
    first = start(tmp_path / "killed", "--workers", "2")
    hidden = tmp_path / "killed" / ".parts"
    wait_for(lambda: len(list(hidden.glob("*/0*.json"))) >= 1 or first.poll() is not None)
    helpers = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    wait_for(lambda: not any(helper.is_running() for helper in helpers))
    assert not (tmp_path / "killed" / "train.parquet").exists()

    assert start(tmp_path / "killed", "--workers", "1").wait() == 0
    assert start(tmp_path / "whole", "--workers", "1").wait() == 0
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_a_finished_part_is_not_made_again(tmp_path, monkeypatch):
    Parts(tmp_path / ".parts", 0).make({"arc-mini": 6}, workers=1)
    monkeypatch.setattr(parts.tasks, "items", lambda *_: pytest.fail("made again"))
    assert prepare(Contents({"arc-mini": 4}, test=2, seed=0), tmp_path).paths["test"].exists()
    assert not (tmp_path / ".parts").exists()


@pytest.mark.parametrize("change", ["seed", "task", "settings", "versions", "program"])
def test_a_part_of_other_settings_or_another_program_is_not_used(tmp_path, monkeypatch, change):
    def path(seed=0, task="arc-easy"):
        Parts(tmp_path, seed).make({task: 1}, workers=1)
        return set(tmp_path.glob("*/*.json"))

    before = path()
    assert path() == before
    if change == "settings":
        monkeypatch.setitem(arc.SIZES, "easy", 12)
    elif change == "versions":
        monkeypatch.setattr(parts, "versions", lambda: {"reasoning-gym": "0.0"})
    elif change == "program":
        monkeypatch.setattr(parts, "program_digest", lambda: "another")
    after = path(seed=change == "seed", task="arc-medium" if change == "task" else "arc-easy")
    assert len(after) == len(before) + 1


def test_the_share_of_reasoning_gym_is_measured(tmp_path):
    cost = Parts(tmp_path, 0).make({"zebra-easy": 3}, workers=1)
    assert 0.5 < cost.generator_share < 1.0 and cost.seconds > cost.generator_seconds > 0
