"""The `mt-grpo` command."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from pathlib import Path

COMMANDS = {
    "prepare": ("data_prep.cli", "make training and test data"),
    "doctor": (
        "mt_grpo_recipe.doctor",
        "say what is wrong with this machine or a training command, and how to fix it",
    ),
    "watch": ("mt_grpo_recipe.report.watch_cli", "show a run while it trains, as a live view or one line per step"),
    "show": ("mt_grpo_recipe.report.show_cli", "print one run as a table and draw it as a picture"),
    "report": ("mt_grpo_recipe.report.cli", "compare runs in figures and tables, from their logs"),
    "replay": (
        "mt_grpo_recipe.simulator.replay_cli",
        "say what a recorded run would cost with other settings of its sampler",
    ),
    "simulate": ("mt_grpo_recipe.simulator.cli", "compare samplers on a simulated rollout engine"),
}
"""Command -> the module with its `add_arguments(parser)` and `run(args) -> int | None`, and what the command does."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(argv: list[str] | None = None) -> None:
    """Run the `mt-grpo` command line; on bad input, exit with status 1 and one sentence."""
    _print_whatever_the_encoding()
    parser = argparse.ArgumentParser(
        prog="mt-grpo",
        description="MT-GRPO (arXiv 2602.05547) as a plugin for verl.",
        epilog="To train: python -m verl.trainer.main_ppo +mt_grpo=mt_grpo ... (see README.md)",
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    given = argv if argv is not None else sys.argv[1:]
    for name, (module_name, purpose) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=purpose, description=purpose)
        # Only the command that runs is imported: some bring in matplotlib, reasoning-gym or verl.
        if given[:1] == [name]:
            importlib.import_module(module_name).add_arguments(subparser)
    if given and given[0] in COMMANDS and (empty := _empty(given[1:])):
        raise SystemExit(
            f"mt-grpo {given[0]}: {empty} is empty: write a value, or leave it out. An unset shell variable expands to "
            "nothing"
        )
    args = parser.parse_args(given)
    try:
        status = importlib.import_module(COMMANDS[args.command][0]).run(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"mt-grpo {args.command}: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    raise SystemExit(status or 0)


def _empty(arguments: list[str]) -> str | None:
    """What the first empty argument belongs to: the option before it, or its place, from 1; None if there is none."""
    before = ""
    for place, argument in enumerate(arguments, start=1):
        option, equals, value = argument.partition("=")
        if option.startswith("-") and equals and not value.strip():
            return option
        if not argument.strip():
            return before if before.startswith("-") else f"argument {place}"
        before = argument
    return None


def picture(text: str) -> Path:
    """Read the name of a picture to write, for `argparse`.

    Raises:
        ArgumentTypeError: its ending names no format.
    """
    path = Path(text)
    if path.suffix not in (".png", ".svg", ".pdf") or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a .png, .svg or .pdf file")
    return path


def _print_whatever_the_encoding() -> None:
    """Have what the encoding of a terminal or a pipe lacks replaced, so that it ends no command."""
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        # UTF-8 with surrogateescape, as in the C locale, prints every name of a file as it is.
        if stream.errors == "strict" or (stream.errors == "surrogateescape" and stream.encoding.lower() != "utf-8"):
            stream.reconfigure(errors="replace")
