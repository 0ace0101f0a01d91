"""Train what the comparison at equal rollouts is made of: first to choose each method's batch, then to report.

    python run_scripts/lab/compare.py choose -o outputs/lab-choose
    python run_scripts/lab/compare.py report -o outputs/lab-compare

Batches are chosen on puzzles and seeds of their own. A run that has finished is left as it is; any other starts anew.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

LAB = Path(__file__).resolve().parent
ROLLOUTS_PER_GROUP = 8
GROUPS = 2400
"""Groups that each run generates, at least."""
BATCHES = (3, 6, 12, 24)
METHODS: dict[str, tuple[str, list[str]]] = {
    "grpo": ("grpo", []),
    "dapo_stream": ("dapo", ["mt_grpo.sampler.schedule=streaming"]),
    "grpo_iwu": ("grpo_iwu", []),
    "mt_grpo_stream": ("mt_grpo_stream", []),
    "mt_grpo_lean": ("mt_grpo_lean", []),
}
"""Name -> file of mt_grpo_recipe/config/mt_grpo, and overrides."""
CHOSEN = dict.fromkeys(METHODS, 6)
"""Batch of each method in `report`; README.md says which of them `choose` found best."""


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
    """Runs of one purpose: which puzzles, by the seed of `mt-grpo prepare`, and which seeds of training."""

    puzzles: int
    seeds: tuple[int, ...]
    batches: dict[str, tuple[int, ...]]
    """Of each method."""
    validate_groups: int
    """Groups from one validation to the next."""

    def runs(self) -> Iterator[Training]:
        """All of them, one seed after another."""
        for seed in self.seeds:
            for method, batches in self.batches.items():
                config, overrides = METHODS[method]
                for batch in batches:
                    yield Training(method, config, batch, seed, overrides)


STAGES = {
    "choose": Stage(puzzles=1, seeds=(100, 101), batches=dict.fromkeys(METHODS, BATCHES), validate_groups=480),
    "report": Stage(
        puzzles=0,
        seeds=tuple(range(6)),
        batches={name: (batch,) for name, batch in CHOSEN.items()},
        validate_groups=240,
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


def train_all(trainings: Iterable[Training], out: Path, puzzles: int, validate_groups: int, jobs: int) -> int:
    """Train all runs, `jobs` at a time, each in its directory of `out`; returns the exit status."""
    data = prepare(puzzles)
    with ThreadPoolExecutor(jobs) as pool:
        logs = pool.map(lambda run: train(run, out / run.folder, data, validate_groups), trainings)
        failed = [log for log in logs if log]
    for log in failed:
        print(f"a run failed, see {log}", file=sys.stderr)
    return 1 if failed else 0


def prepare(puzzles: int) -> Path:
    """Make the miniature's puzzles of this seed, unless they are there."""
    data = Path("outputs/mini/data" if puzzles == 0 else f"outputs/mini/data-{puzzles}")
    if not (data / "test.parquet").exists():
        tasks = ["--tasks", "countdown:mini,arc:mini,zebra:mini", "--train", "1900", "--test", "200"]
        subprocess.run(["mt-grpo", "prepare", *tasks, "--seed", str(puzzles), "-o", str(data)], check=True)
    return data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one core each (%(default)s)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the runs, a directory each")
    args = parser.parse_args()
    stage = STAGES[args.stage]
    return train_all(stage.runs(), args.out, stage.puzzles, stage.validate_groups, args.jobs)


if __name__ == "__main__":
    sys.exit(main())
