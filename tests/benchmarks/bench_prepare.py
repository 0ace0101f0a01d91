"""What making the data costs, task by task, and how much of it is spent in reasoning-gym.

    python tests/benchmarks/bench_prepare.py [--rows 200] [--task zebra-hard ...]

CPU seconds of this process, so that other work on the machine counts little. "in reasoning-gym" is the time inside its
generator; "own work" is what is done with its items up to the puzzle on disk; the last line is what comes after, once
for all tasks: reading the puzzles, leaving out repeats and writing the parquet files. Nothing is scaled up: a task's
line is what `--rows` rows took. Without `--task`, the nine tasks of the paper's second experiment.
"""

import argparse
import tempfile
import time
from pathlib import Path

from data_prep.cli import EXPERIMENTS
from data_prep.parts import Cost, Parts
from data_prep.prepare import Contents, prepare
from data_prep.tasks import parse_tasks


def line(name: str, rows: int, cost: Cost) -> str:
    own = cost.seconds - cost.generator_seconds
    return (
        f"{name:18s} {rows:6d} {cost.seconds:9.2f} {cost.generator_seconds:17.2f} {own:9.3f} "
        f"{cost.generator_share:8.2%} {1000 * cost.seconds / rows:9.2f}"
    )


def main() -> None:
    """Print one row per task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200, help="rows per task (%(default)s)")
    parser.add_argument("--task", action="append", help="default: the nine of the second experiment")
    options = parser.parse_args()
    names = parse_tasks(",".join(options.task or [EXPERIMENTS["exp2"]]))
    print(f"{'task':18s} {'rows':>6} {'CPU s':>9} {'in reasoning-gym':>17} {'own work':>9} {'share':>8} {'ms/row':>9}")
    with tempfile.TemporaryDirectory() as folder:
        Parts(Path(folder) / "warm-up", 1).make(dict.fromkeys(names, 1), workers=1)
        parts, total = Parts(Path(folder) / ".parts", 0), Cost()
        for name in names:
            cost = parts.make({name: options.rows}, workers=1)
            total += cost
            print(line(name, options.rows, cost), flush=True)
        print(line("all", options.rows * len(names), total))
        begin = time.process_time()
        prepare(Contents(dict.fromkeys(names, options.rows), test=0, seed=0), folder)
        print(f"{'after that':18s} {options.rows * len(names):6d} {time.process_time() - begin:9.2f}")


if __name__ == "__main__":
    main()
