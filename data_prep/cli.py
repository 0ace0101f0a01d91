"""`mt-grpo prepare`: the command line of `data_prep.prepare`."""

import argparse
from pathlib import Path

DEFAULT_TASKS = "countdown:mini,arc:mini,zebra:mini"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options to `parser`."""
    parser.add_argument(
        "--tasks",
        default=DEFAULT_TASKS,
        metavar="FAMILY:SIZE,...",
        help="families countdown, arc, zebra; sizes mini, easy, medium, hard (default: %(default)s)",
    )
    parser.add_argument("--train", type=int, default=2000, metavar="N", help="training puzzles a task (%(default)s)")
    parser.add_argument("--test", type=int, default=100, metavar="N", help="test puzzles a task (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (%(default)s)")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="where train.parquet and test.parquet go"
    )


def run(args: argparse.Namespace) -> int:
    """Write the two files with a progress bar; return the exit status.

    Raises:
        ValueError: the arguments name no task there is, or ask for more puzzles than it has.
    """
    # Imported here, so that the parser is built without loading reasoning-gym, which takes seconds.
    from rich.console import Console
    from rich.progress import Progress

    from data_prep.prepare import parse_tasks, prepare

    names = parse_tasks(args.tasks)
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        bars = {name: progress.add_task(name, total=args.train + args.test) for name in names}
        paths = prepare(
            {name: args.train for name in names},
            args.out,
            test=args.test,
            seed=args.seed,
            on_puzzle=lambda name: progress.advance(bars[name]),
        )
    for split, path in paths.items():
        count = len(names) * (args.train if split == "train" else args.test)
        console.print(f"{split}: {count} puzzles of {', '.join(names)} in {path}")
    return 0
