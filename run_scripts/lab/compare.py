"""Train what the comparisons at equal rollouts are made of: first to choose each method's batch, then to report.

    python run_scripts/lab/compare.py choose -o outputs/lab-choose
    python run_scripts/lab/compare.py report -o outputs/lab-compare
    python run_scripts/lab/compare.py choose-unequal -o outputs/lab-choose-unequal      # files of unequal size
    python run_scripts/lab/compare.py report-unequal -o outputs/lab-compare-unequal

Batches are chosen on puzzles and seeds of their own. A run that has finished is left as it is; any other starts anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

LAB = Path(__file__).resolve().parent
ROLLOUTS_PER_GROUP = 8
GROUPS = 2400
"""Groups that each run generates, at least."""
BATCHES = (3, 6, 12, 24)
METHODS: dict[str, tuple[str, list[str]]] = {
    "grpo": ("grpo", []),
    "grpo_proportional": ("proportional", []),
    "gdro": ("gdro", []),
    "dapo_stream": ("dapo", ["mt_grpo.sampler.schedule=streaming"]),
    "dapo_stream_proportional": (
        "dapo",
        ["mt_grpo.sampler.schedule=streaming", "mt_grpo.weights.rule=proportional"],
    ),
    "grpo_iwu": ("grpo_iwu", []),
    "mt_grpo_stream": ("mt_grpo_stream", []),
    "mt_grpo_lean": ("mt_grpo_lean", []),
}
"""Name -> file of mt_grpo_recipe/config/mt_grpo, and overrides."""
EQUAL = ("grpo", "dapo_stream", "grpo_iwu", "mt_grpo_stream", "mt_grpo_lean")
"""Methods that are compared on as many puzzles of each task."""
UNEQUAL = ("grpo", "grpo_proportional", "gdro", "dapo_stream_proportional", "grpo_iwu", "mt_grpo_lean")
"""Methods that are compared on unequal files. What draws in proportion is verl on files that are joined."""
CHOSEN = dict.fromkeys(EQUAL, 6)
"""Batch of each method in `report`; README.md says which of them `choose` found best."""
CHOSEN_UNEQUAL = dict.fromkeys(UNEQUAL, 6) | {"grpo": 12, "dapo_stream_proportional": 12, "mt_grpo_lean": 12}
"""The same in `report-unequal`."""
ROWS = {"countdown-mini": 1710, "arc-mini": 190, "zebra-mini": 1900}
"""Training puzzles of each task in unequal files: shares of 45, 5 and 50 %."""


@dataclass(frozen=True)
class Training:
    """One run of the laboratory.

    Attributes:
        name: of the method, as reports have it.
        config: a file of mt_grpo_recipe/config/mt_grpo.
        batch: groups in it.
        seed: of quotas, puzzles and answers.
        overrides: of verl's command line.
    """

    name: str
    config: str
    batch: int
    seed: int
    overrides: Sequence[str] = ()

    @property
    def folder(self) -> str:
        """Name of its directory."""
        return f"{self.name}_b{self.batch}-{self.seed}"


@dataclass(frozen=True)
class Stage:
    """Runs of one purpose.

    Attributes:
        data: folder of the puzzles, made where it is missing.
        puzzles: seed of `mt-grpo prepare`.
        seeds: of training.
        batches: of each method.
        validate_groups: groups from one validation to the next.
        rows: training puzzles of each task; None is all that are prepared.
    """

    data: Path
    puzzles: int
    seeds: tuple[int, ...]
    batches: dict[str, tuple[int, ...]]
    validate_groups: int
    rows: dict[str, int] | None = None

    def runs(self) -> Iterator[Training]:
        """All of them, one seed after another."""
        for seed in self.seeds:
            for method, batches in self.batches.items():
                config, overrides = METHODS[method]
                for batch in batches:
                    yield Training(method, config, batch, seed, overrides)


DATA = Path("outputs/mini/data")
"""Puzzles of the comparisons that are reported."""
OTHER_DATA = Path("outputs/mini/data-1")
"""Puzzles that settings are chosen on."""
STAGES = {
    "choose": Stage(OTHER_DATA, 1, (100, 101), dict.fromkeys(EQUAL, BATCHES), 480),
    "report": Stage(DATA, 0, tuple(range(6)), {name: (batch,) for name, batch in CHOSEN.items()}, 240),
    "choose-unequal": Stage(
        Path("outputs/mini/data-unequal-1"), 1, (100, 101), dict.fromkeys(UNEQUAL, BATCHES[1:3]), 480, ROWS
    ),
    "report-unequal": Stage(
        Path("outputs/mini/data-unequal"),
        0,
        tuple(range(5)),
        {name: (batch,) for name, batch in CHOSEN_UNEQUAL.items()},
        240,
        ROWS,
    ),
}


def train(training: Training, folder: Path, data: Path, validate_groups: int) -> Path | None:
    """Train one run in a process of its own; returns its log if that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    name, batch = f"{training.name}_b{training.batch}", training.batch
    command = [sys.executable, str(LAB / "train.py"), "--method", training.config, "--name", name]
    command += ["--seed", str(training.seed), "--data", str(data), "-o", str(folder)]
    command += ["--rollouts", str(GROUPS * ROLLOUTS_PER_GROUP)]
    command += ["--validate-rollouts", str(validate_groups * ROLLOUTS_PER_GROUP)]
    command += [f"data.train_batch_size={batch}", f"actor_rollout_ref.actor.ppo_mini_batch_size={batch}"]
    with (folder / "train.log").open("a") as log:
        ended = subprocess.run(
            [*command, *training.overrides],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            check=False,
        )
    print(f"{folder.name}: {'failed' if ended.returncode else 'done'}", flush=True)
    return folder / "train.log" if ended.returncode else None


def train_all(trainings: Iterable[Training], out: Path, data: Path, validate_groups: int, jobs: int) -> int:
    """Train all runs, `jobs` at a time, each in its directory of `out`; returns the exit status."""
    with ThreadPoolExecutor(jobs) as pool:
        logs = pool.map(lambda run: train(run, out / run.folder, data, validate_groups), trainings)
        failed = [log for log in logs if log]
    for log in failed:
        print(f"a run failed, see {log}", file=sys.stderr)
    return 1 if failed else 0


def prepare(data: Path, puzzles: int, rows: dict[str, int] | None = None) -> None:
    """Make the miniature's puzzles of this seed in `data`, unless they are there.

    Args:
        rows: training puzzles of each task to keep, the first ones; None keeps all.
    """
    if (data / "test.parquet").exists():
        return
    if rows is None:
        tasks = ["--tasks", "countdown:mini,arc:mini,zebra:mini", "--train", "1900", "--test", "200"]
        subprocess.run(["mt-grpo", "prepare", *tasks, "--seed", str(puzzles), "-o", str(data)], check=True)
        return
    whole = OTHER_DATA if puzzles else DATA
    prepare(whole, puzzles)
    data.mkdir(parents=True, exist_ok=True)
    table = pq.read_table(whole / "train.parquet")
    left, kept = dict(rows), []
    for number, extra in enumerate(table.column("extra_info").to_pylist()):
        left[extra["task"]] -= 1
        if left[extra["task"]] >= 0:
            kept.append(number)
    pq.write_table(table.take(kept), data / "train.parquet")
    shutil.copy(whole / "test.parquet", data / "test.parquet")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one core each (%(default)s)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the runs, a directory each")
    args = parser.parse_args()
    stage = STAGES[args.stage]
    prepare(stage.data, stage.puzzles, stage.rows)
    return train_all(stage.runs(), args.out, stage.data, stage.validate_groups, args.jobs)


if __name__ == "__main__":
    sys.exit(main())
