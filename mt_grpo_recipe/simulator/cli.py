"""`mt-grpo simulate`: what each sampler costs on a simulated rollout engine, as a table, JSON or a picture."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray
from mt_grpo_recipe.algorithm.settings import StreamingSettings
from mt_grpo_recipe.cli import picture
from mt_grpo_recipe.simulator.engine import SAMPLERS, sampler_settings, simulate
from mt_grpo_recipe.simulator.world import SuccessRates, World

if TYPE_CHECKING:
    from rich.table import Table

WEIGHTS = [0.43, 0.11, 0.46]
ZERO_GRAD_RATES = [0.7, 0.3, 0.45]
"""z of three tasks, and the share of each that the filter drops where neither rates nor success rates are given."""

SAMPLERS_IN_WORDS = """\
samplers (their settings: mt_grpo_recipe/config/README.md):
  rounds          launches the batch's groups in rounds, and waits for each round
  streaming       replaces each group that the filter drops at once
  dapo            rounds that fill the batch with groups of any task
  dapo-streaming  the same, streaming
  budget          launches B groups, trains on all that the filter keeps, and makes up later for missed shares
  lean            budget with the settings of the method mt_grpo_lean, whatever the options say
  oracle          knows in advance which groups the filter keeps, and launches no other than it must
"""

COST = {
    "prompts_per_step": "prompts per step",
    "time_per_step": "time per step",
    "rounds_per_step": "rounds",
    "rollouts_per_step": "rollouts per step",
    "rollouts_per_trained_group": "rollouts per trained group",
}
BATCH = {
    "trained_over_informative": "trained / informative",
    "max_share_error": "share error per step",
    "cumulated_share_error": "share error per run",
    "shortfall": "shortfall",
}
"""Keys of a result -> their titles, in two tables: what a step costs, and what it trains on."""

BESIDE_ORACLE = ("time_per_step", "rollouts_per_trained_group")
PANELS = ("prompts_per_step", *BESIDE_ORACLE, "max_share_error", "cumulated_share_error")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers like .43,.11,.46") from error


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(map(str, numbers))


def _success_rates(text: str) -> SuccessRates:
    numbers = _numbers(text)
    if len(numbers) not in (2, 3):
        raise argparse.ArgumentTypeError(f"{text!r} is not a,b or a,b,p0, like .5,2 or .5,2,.3")
    try:
        return SuccessRates(*numbers)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options to `parser`. Defaults: the paper's constants for three tasks."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = SAMPLERS_IN_WORDS
    _add_world(parser)
    _add_samplers(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of the tables")
    parser.add_argument("-o", "--out", type=picture, metavar="PICTURE", help="write a picture too (.png, .svg or .pdf)")


def _add_world(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weights", type=_numbers, default=WEIGHTS, metavar="Z,...", help=f"task weights z ({_listed(WEIGHTS)})")
    add(
        "--zero-grad-rates",
        type=_numbers,
        metavar="R,...",
        help=f"share of each task's prompts that the filter drops ({_listed(ZERO_GRAD_RATES)})",
    )
    add(
        "--success-rates",
        type=_success_rates,
        action="append",
        metavar="A,B[,P0]",
        help="instead, once per task: a prompt's success rate is 0 with probability P0, else drawn from Beta(A, B); "
        "the filter drops the groups whose rollouts all fail or all succeed",
    )
    add("--group-size", type=int, default=8, metavar="N", help="rollouts per prompt (%(default)s)")
    add(
        "--batch-size",
        type=int,
        default=32,
        metavar="B",
        help="prompts per batch; for budget and lean, prompts per step (%(default)s)",
    )
    add("--slots", type=int, default=64, metavar="N", help="prompts that the engine works on at a time (%(default)s)")
    add("--steps", type=int, default=500, metavar="N", help="steps to simulate (%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="seed of all draws (%(default)s)")
    for option, default, purpose in (
        ("--sigma", 0.6, "the logarithm of a group's duration, whose median is 1"),
        ("--drift", 0.0, "the change of each zero-gradient rate from step to step"),
    ):
        purpose = f"standard deviation of {purpose} (%(default)s)"
        add(option, type=float, default=default, metavar="STD", help=purpose)


def _add_samplers(parser: argparse.ArgumentParser) -> None:
    default = StreamingSettings()
    add = parser.add_argument
    add("--samplers", default=",".join(SAMPLERS), metavar="NAME,...", help="what to compare, see below (%(default)s)")
    for name, kind, metavar, purpose in (
        ("oversample", float, "M_OS", "groups per round, in batches"),
        ("max_inflation", float, "M_ACC", "most groups generated per group wanted, outside streaming"),
        ("max_resample_rounds", int, "N_RS", "rounds after the first"),
        ("max_inflight", float, "BATCHES", "streaming: most groups in flight, in batches"),
        ("safety_margin", float, "STDS", "streaming: groups launched beyond those needed, in standard deviations"),
    ):
        option = f"--{name.replace('_', '-')}"
        add(option, type=kind, default=getattr(default, name), metavar=metavar, help=f"{purpose} (%(default)s)")
    quotas = ("multinomial", "stratified", "rounded")
    add("--quota", default=default.quota, choices=quotas, help="how quotas come from the weights (%(default)s)")
    add(
        "--surplus",
        default=default.surplus,
        choices=("drain", "abort"),
        help="streaming: whether a settled step waits for the groups in flight, or aborts them (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Simulate and print.

    Raises:
        ValueError: the arguments do not fit together, or are out of bounds.
    """
    world = World(
        weights_K=args.weights,
        zero_grad_rates_K=_zero_grad_rates(args),
        success_rates=args.success_rates,
        group_size=args.group_size,
        batch_size=args.batch_size,
        slots=args.slots,
        steps=args.steps,
        seed=args.seed,
        sigma=args.sigma,
        drift=args.drift,
        sampler=StreamingSettings(
            quota=args.quota,
            oversample=args.oversample,
            max_inflation=args.max_inflation,
            max_resample_rounds=args.max_resample_rounds,
            max_inflight=args.max_inflight,
            safety_margin=args.safety_margin,
            surplus=args.surplus,
        ),
    )
    samplers = args.samplers.split(",")
    _refuse_unread(args, samplers)
    results = compare(world, samplers)
    if args.json:
        print(json.dumps(results))
    else:
        print_table(results)
    if args.out is not None:
        draw(results, args.out)
    return 0


def _refuse_unread(args: argparse.Namespace, samplers: Sequence[str]) -> None:
    """Refuse settings that none of the samplers reads; `lean` reads none."""
    default = StreamingSettings()
    given = [name for name, value in vars(default).items() if getattr(args, name, value) != value]
    read = {field.name for name in samplers if name != "lean" for field in fields(sampler_settings(name, default))}
    if unread := [f"--{name.replace('_', '-')}" for name in given if name not in read]:
        raise ValueError(
            f"no sampler of --samplers {args.samplers} reads {', '.join(unread)}: leave "
            f"{'it' if len(unread) == 1 else 'them'} out"
        )


def _zero_grad_rates(args: argparse.Namespace) -> FloatArray | None:
    """Those given, or else the default ones unless there are success rates, shape (K,)."""
    if args.zero_grad_rates is not None:
        return np.array(args.zero_grad_rates)
    if args.success_rates is not None:
        return None
    if len(args.weights) != len(ZERO_GRAD_RATES):
        raise ValueError(
            f"there are {len(args.weights)} --weights and {len(ZERO_GRAD_RATES)} --zero-grad-rates "
            f"({_listed(ZERO_GRAD_RATES)} unless given): give one of each per task"
        )
    return np.array(ZERO_GRAD_RATES)


def compare(world: World, samplers: Sequence[str] = SAMPLERS) -> list[dict[str, Any]]:
    """Run each sampler on the same groups; one dict per sampler, see `simulate`.

    Raises:
        ValueError: no such sampler.
    """
    for name in samplers:
        if name not in SAMPLERS:
            raise ValueError(f"no sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return [simulate(name, world) for name in samplers]


def print_table(results: list[dict[str, Any]]) -> None:
    """Print what a step costs, also as multiples of the oracle's if it is in the results, and what it trains on."""
    from rich.console import Console

    console = Console(emoji=False)
    console.print(_table("What a step costs, time in median durations of a group (x: the oracle's)", COST, 1, results))
    console.print(_table("What a step trains on", BATCH, 3, results))


def _table(title: str, columns: dict[str, str], digits: int, results: list[dict[str, Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    oracle = next((row for row in results if row["sampler"] == "oracle"), {})
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("sampler", no_wrap=True)
    for column in columns.values():
        table.add_column(column.replace(" per ", "\nper "), justify="right")
    for row in results:
        cells = ["-" if row[key] is None else f"{row[key]:,.{digits}f}" for key in columns]
        for column, key in enumerate(columns):
            if key in BESIDE_ORACLE and row[key] and oracle.get(key):
                cells[column] += f" ({row[key] / oracle[key]:.2f}x)"
        table.add_row(row["sampler"], *cells)
    return table


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Write a picture of costs and share errors, one bar per sampler.

    Raises:
        ValueError: the ending of `path` names no picture format.
    """
    from matplotlib.figure import Figure

    from mt_grpo_recipe.report.show.style import METHOD_MARKS, MUTED, SPARE_MARKS, styled

    looks_of = {"rounds": "mt_grpo", "streaming": "mt_grpo_stream", "dapo": "dapo", "lean": "mt_grpo_lean"}
    color_of = {name: METHOD_MARKS[method].color for name, method in looks_of.items()}
    color_of["dapo-streaming"] = SPARE_MARKS[0].color
    names = [row["sampler"] for row in results]
    colors = [color_of.get(name, MUTED) for name in names]
    titles = {**COST, **BATCH}
    with styled():
        size = (2.5 * len(PANELS), 0.9 + 0.32 * len(names))
        figure = Figure(figsize=size, layout="constrained")
        for axis, key in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS, strict=True):
            values = [math.nan if row[key] is None else row[key] for row in results]
            axis.bar_label(axis.barh(names, values, color=colors), fmt="%.3g", padding=2)
            axis.set_title(titles[key])
            axis.grid(visible=False, axis="y")
            axis.margins(x=0.25)
        figure.axes[0].invert_yaxis()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
