"""`mt-grpo prepare`: the command line of `data_prep.prepare`."""

import argparse
import os
import time
from pathlib import Path
from typing import Any

DEFAULT_TASKS = "countdown:mini,arc:mini,zebra:mini"
MATH, SCIKNOWEVAL = "DigitalLearningGmbH/MATH-lighteval", "hicai-zju/SciKnowEval"
"""Where MATH and SciKnowEval are on the Hugging Face hub."""
FAMILIES = ("countdown", "zebra", "arc")
EXPERIMENTS = {
    "exp1": ",".join(f"{family}:medium" for family in FAMILIES),
    "exp2": ",".join(f"{family}:{size}" for family in FAMILIES for size in ("easy", "medium", "hard")),
}
"""Tasks of the experiments of arXiv 2602.05547; each has 10,000 training and 200 test puzzles per task."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options to `parser`."""
    _add_contents(parser)
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes; the files do not depend on it (default: as many as cores)",
    )
    _add_sources(parser)
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="where train.parquet and test.parquet go")
    parser.add_argument(
        "--check",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="only check these parquet or JSON files: say which rows are wrong, and why; exit status 1 if any is",
    )


def _add_contents(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "experiment",
        nargs="?",
        choices=[*EXPERIMENTS, "exp3", "exp3a", "exp3b"],
        help="tasks and sizes of an experiment of the paper; exp3 puts its two parts into DIR/exp3a and DIR/exp3b",
    )
    parser.add_argument(
        "--tasks",
        metavar="FAMILY:SIZE,...",
        help="families countdown, arc, zebra; sizes mini, mini2, mini3, easy, medium, hard; or rg:DATASET for any data "
        f"set of reasoning-gym (default: {DEFAULT_TASKS})",
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="YAML with settings of the rg tasks, such as {rg:leg_counting: {max_animals: 5}}",
    )
    parser.add_argument(
        "--train", type=int, metavar="N", help="training puzzles per task (2000; 10000 for an experiment)"
    )
    parser.add_argument("--test", type=int, metavar="N", help="test puzzles per task (100; 200 for an experiment)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (%(default)s)")
    parser.add_argument(
        "--prompts",
        choices=("base", "chat"),
        default="base",
        help="base: raw text in which the assistant has begun to answer; chat: the question alone, for a model's own "
        "chat template (%(default)s)",
    )


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--math",
        default=MATH,
        metavar="SOURCE",
        help="exp3: file, folder or name on the Hugging Face hub (%(default)s)",
    )
    parser.add_argument(
        "--sciknoweval",
        default=SCIKNOWEVAL,
        metavar="SOURCE",
        help="exp3: file, folder or name on the Hugging Face hub (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Make files or check them, with a progress bar; return the exit status.

    Raises:
        ValueError: the arguments name an unknown task, ask for more puzzles than it has, or name a file or folder that
            cannot be read or written.
    """
    try:
        return _run(args)
    except OSError as error:
        raise ValueError(str(error)) from error


def _run(args: argparse.Namespace) -> int:
    if args.check:
        if unread := _given(args, but="check"):
            raise ValueError(f"--check makes nothing: leave out {', '.join(unread)}")
        return _check(args.check)
    if args.out is None:
        raise ValueError("say where the files are to go, with -o DIR, or which to check, with --check FILE")
    for option, least in (("train", 0), ("test", 0), ("workers", 1)):
        value = getattr(args, option)
        if value is not None and value < least:
            raise ValueError(f"--{option} {value}: it must be {least} or more")
    if args.experiment and args.tasks is not None:
        raise ValueError(f"give either {args.experiment} or --tasks, not both")
    _refuse_unread(args)
    if (args.experiment or "").startswith("exp3"):
        return _prepare_public(args)
    return _prepare(args)


def _given(args: argparse.Namespace, but: str) -> list[str]:
    """What the command line has, as typed, that is not at its default; without the option `but`."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    typed = {"experiment": args.experiment, "out": "-o"}
    defaults = vars(parser.parse_args([]))
    return [
        typed.get(name) or f"--{name}"
        for name, default in defaults.items()
        if name != but and getattr(args, name) != default
    ]


def _refuse_unread(args: argparse.Namespace) -> None:
    """Refuse options that making these files does not read."""
    if not (args.experiment or "").startswith("exp3"):
        unread, why = ("--math", "--sciknoweval"), "only exp3 reads public benchmarks"
    else:
        unread, why = ("--settings", "--workers"), f"{args.experiment} has no rg task, and one process makes it"
    given = _given(args, but="check")
    if found := [option for option in given if option in unread]:
        raise ValueError(f"{why}: leave out {', '.join(found)}")
    if args.experiment == "exp3b" and "--math" in given:
        raise ValueError("exp3b has no task of MATH: leave out --math")


def _prepare_public(args: argparse.Namespace) -> int:
    from rich.console import Console

    from data_prep.experiment3 import PARTS, Sources, prepare_part, settings_of
    from data_prep.manifest import refuse_to_replace

    console = Console(stderr=True, emoji=False)
    sources = Sources(args.math, args.sciknoweval)
    train, test = args.train if args.train is not None else 10_000, args.test if args.test is not None else 200
    parts = list(PARTS) if args.experiment == "exp3" else [args.experiment]
    folders = {part: args.out / part if args.experiment == "exp3" else args.out for part in parts}
    for part, folder in folders.items():  # all of them before the first takes its time
        refuse_to_replace(folder, settings_of(part, sources, train, test, args.seed, args.prompts))
    for part, folder in folders.items():
        with console.status(f"{part}: loading"):
            made = prepare_part(part, folder, sources, train, test, args.seed, args.prompts)
        console.print(f"{part}: {made.paths['train']}, {made.paths['test']}", soft_wrap=True, markup=False)
        for name, tally in made.tallies.items():
            console.print(f"{name}, rows by type:", *tally.as_lines(), sep="\n", soft_wrap=True, markup=False)
    return 0


def _check(paths: list[Path]) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from data_prep.check import check, count_rows, report

    with Progress(console=Console(stderr=True, emoji=False)) as progress:
        counts = [count_rows(path) for path in paths]
        bar = progress.add_task("checking", total=None if None in counts else sum(filter(None, counts)))
        checked = check(paths, lambda: progress.advance(bar))
    for file in checked:
        print(report(file))
    return 1 if any(file.faults for file in checked) else 0


def _settings(path: Path | None) -> dict[str, dict[str, Any]]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        read = OmegaConf.to_container(OmegaConf.load(path), resolve=True) if path else {}
    except (OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(read, dict) or not all(isinstance(own, dict) for own in read.values()):
        raise ValueError(f"{path} must hold settings by task, such as {{rg:leg_counting: {{max_animals: 5}}}}")
    return {str(task): {str(name): value for name, value in own.items()} for task, own in read.items()}


def _prepare(args: argparse.Namespace) -> int:
    # Imported here, so that the parser is built without loading reasoning-gym, which takes seconds.
    from rich.console import Console
    from rich.progress import Progress

    from data_prep.prepare import Contents, prepare
    from data_prep.tasks import parse_tasks

    asked = DEFAULT_TASKS if args.tasks is None else args.tasks
    names = parse_tasks(EXPERIMENTS[args.experiment] if args.experiment else asked)
    train = args.train if args.train is not None else 10_000 if args.experiment else 2000
    test = args.test if args.test is not None else 200 if args.experiment else 100
    contents = Contents(dict.fromkeys(names, train), test, args.seed, args.prompts, _settings(args.settings))
    console = Console(stderr=True, emoji=False)
    begin = time.perf_counter()
    with Progress(console=console) as progress:
        bars = {name: progress.add_task(name, total=train + test) for name in names}
        made = prepare(contents, args.out, args.workers, lambda name, count: progress.advance(bars[name], count))
    for split, path in made.paths.items():
        count = len(names) * (train if split == "train" else test)
        console.print(f"{split}: {count} puzzles of {', '.join(names)} in {path}", soft_wrap=True, markup=False)
    console.print(
        f"{time.perf_counter() - begin:.0f} s; making the puzzles took {made.cost.seconds:.0f} s of one core, "
        f"{made.cost.generator_share:.1%} of it in reasoning-gym",
        soft_wrap=True,
    )
    return 0
