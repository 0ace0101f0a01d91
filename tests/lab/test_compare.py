"""The command that trains the comparisons: what becomes of its runs when it is told to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import compare

LAB = Path(compare.__file__).parent
TRAIN = """
import os, pathlib, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
(out / "pid.part").write_text(str(os.getpid()))
(out / "pid.part").rename(out / "pid")
time.sleep(600)
"""
MAIN = """
import pathlib, sys
import compare
compare.LAB = pathlib.Path(sys.argv.pop(1))
compare.prepare = lambda folder, seed, rows: None
sys.exit(compare.main())
"""


def is_alive(pid):
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds):
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_its_runs_end_with_it(tmp_path):
    """Two are in training; neither goes on, and no third is started."""
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    arguments = ["report", "equal", "--jobs", "2", "-o", str(tmp_path / "runs")]
    command = [sys.executable, "-c", MAIN, str(tmp_path), *arguments]
    places = os.pathsep.join([str(LAB), str(LAB.parents[1])])
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": places}) as process:
        pids = tmp_path.glob
        wait_until(lambda: len(list(pids("runs/*/pid"))) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    started = list(pids("runs/*/pid"))
    wait_until(lambda: not any(is_alive(pid.read_text(encoding="utf-8")) for pid in started))
    assert len(started) == 2
