"""Train the comparisons at equal rollouts: first to choose each method's batch and learning rate, then to report.

    python run_scripts/lab/compare.py choose equal -o outputs/lab/choose-equal
    python run_scripts/lab/compare.py rates equal -o outputs/lab/rates-equal
    python run_scripts/lab/compare.py report equal -o outputs/lab/report-equal

Both are chosen on puzzles and seeds of their own. A run that has finished is left as it is; any other starts anew.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import get_args

from comparisons import GROUPS, METHODS, ROLLOUTS_PER_GROUP, SETTINGS, Purpose, Training

from data_prep.prepare import Contents
from data_prep.prepare import prepare as prepare_files

LAB = Path(__file__).resolve().parent
TEST_PUZZLES = 200
"""Of each task."""
VALIDATE_GROUPS = 480
"""Groups from one validation to the next, in runs that settings are chosen by."""
_running: set[subprocess.Popen[bytes]] = set()
_ending = threading.Event()


def end_with_runs(number: int, _frame: FrameType | None) -> None:
    """Of a signal: end what is being trained, too, or it would write beside the same run when that is started again."""
    _ending.set()
    for process in set(_running):
        process.terminate()
    sys.exit(128 + number)


def train(training: Training, folder: Path, data: Path, validate_groups: int) -> Path | None:
    """Train one run in a process of its own; returns its log if that failed."""
    if _ending.is_set():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(LAB / "train.py"), "--method", training.config, "--name", training.label]
    command += ["--seed", str(training.seed), "--data", str(data), "-o", str(folder)]
    command += ["--rollouts", str(GROUPS * ROLLOUTS_PER_GROUP)]
    command += ["--validate-rollouts", str(validate_groups * ROLLOUTS_PER_GROUP)]
    with (folder / "train.log").open("a") as log:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen([*command, *training.overrides], env=environment, stdout=log, stderr=log)
        _running.add(process)
        if _ending.is_set():  # set while the process was started
            process.terminate()
        failed = process.wait() != 0
        _running.discard(process)
    print(f"{folder.name}: {'failed' if failed else 'done'}", flush=True)
    return folder / "train.log" if failed else None


def train_all(trainings: Iterable[Training], out: Path, data: Path, validate_groups: int, jobs: int) -> int:
    """Train all runs, `jobs` at a time, each in its directory of `out`; returns the exit status.

    SIGTERM ends the runs and then this process, which only the main thread can arrange.
    """
    signal.signal(signal.SIGTERM, end_with_runs)
    with ThreadPoolExecutor(jobs) as pool:
        logs = pool.map(lambda run: train(run, out / run.folder, data, validate_groups), trainings)
        failed = [log for log in logs if log]
    for log in failed:
        print(f"a run failed, see {log}", file=sys.stderr)
    return 1 if failed else 0


def prepare(folder: Path, seed: int, rows: Mapping[str, int]) -> None:
    """Make the puzzles of this seed in `folder`, unless they are there; `rows` are training puzzles by task.

    Raises:
        ValueError: others are there.
    """
    manifest = folder / "manifest.json"
    if not manifest.exists():
        prepare_files(Contents(rows, TEST_PUZZLES, seed), folder)
        return
    made = json.loads(manifest.read_text(encoding="utf-8"))
    found = {task: made["tasks"][task]["train"] for task in made["tasks"]}
    if (found, made["seed"]) != (dict(rows), seed):
        raise ValueError(f"{folder} has puzzles of seed {made['seed']}, {found}; wanted are seed {seed}, {dict(rows)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("purpose", choices=get_args(Purpose))
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, metavar="NAME", help="only these")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one core each (%(default)s)")
    parser.add_argument("--count", action="store_true", help="print how many runs are left, and train none")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the runs, a directory each")
    args = parser.parse_args()
    setting = SETTINGS[args.setting]
    runs = [run for run in setting.runs(args.purpose) if run.name in args.methods]
    left = [run for run in runs if not (args.out / run.folder / "finished").exists()]
    if args.count:
        print(len(left))
        return 0
    if not runs:
        print(f"{args.setting} has no runs for {args.purpose!r}")
        return 0
    data, seed = setting.puzzles(args.purpose)
    prepare(data, seed, setting.rows)
    validate_groups = setting.validate_groups if args.purpose == "report" else VALIDATE_GROUPS
    return train_all(left, args.out, data, validate_groups, args.jobs)


if __name__ == "__main__":
    sys.exit(main())
