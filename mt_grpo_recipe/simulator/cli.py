"""`mt-grpo simulate`: what each sampler costs on a simulated rollout engine, as a table, JSON or a picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mt_grpo_recipe.algorithm.settings import StreamingSettings
from mt_grpo_recipe.simulator.engine import SAMPLERS, World, simulate

COLUMNS = {
    "prompts_per_step": "prompts a step",
    "time_per_step": "time a step",
    "rounds_per_step": "rounds",
    "max_share_error": "share error",
    "shortfall": "shortfall",
}


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers like .43,.11,.46") from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options to `parser`. Defaults: the paper's constants for three tasks."""
    default = StreamingSettings()
    add = parser.add_argument
    add("--weights", type=_numbers, default=[0.43, 0.11, 0.46], metavar="Z,...", help="task weights z")
    add(
        "--zero-grad-rates",
        type=_numbers,
        default=[0.7, 0.3, 0.45],
        metavar="R,...",
        help="share of each task's prompts that the filter drops",
    )
    add("--batch-size", type=int, default=32, metavar="B", help="prompts per batch (%(default)s)")
    add("--slots", type=int, default=64, help="prompts that the engine generates at a time (%(default)s)")
    add("--steps", type=int, default=500, help="steps to simulate (%(default)s)")
    add("--seed", type=int, default=0, help="%(default)s")
    add("--sigma", type=float, default=0.6, help="spread of the log-normal durations, whose median is 1 (%(default)s)")
    add("--drift", type=float, default=0.0, help="change of the zero-gradient rates per step, std (%(default)s)")
    add("--samplers", default=",".join(SAMPLERS), metavar="NAME,...", help="which to compare (%(default)s)")
    add("--quota", default=default.quota, choices=("multinomial", "stratified", "rounded"), help="%(default)s")
    add("--oversample", type=float, default=default.oversample, metavar="M_OS", help="%(default)s")
    add("--max-inflation", type=float, default=default.max_inflation, metavar="M_ACC", help="%(default)s")
    add("--max-resample-rounds", type=int, default=default.max_resample_rounds, metavar="N_RS", help="%(default)s")
    add("--max-inflight", type=float, default=default.max_inflight, metavar="BATCHES", help="%(default)s")
    add("--safety-margin", type=float, default=default.safety_margin, metavar="STDS", help="%(default)s")
    add(
        "--surplus",
        default=default.surplus,
        choices=("drain", "abort"),
        help="whether a settled streaming step waits for groups still in flight (%(default)s)",
    )
    add("--json", action="store_true", help="print one JSON list instead of the table")
    add("-o", "--out", type=Path, metavar="PICTURE", help="write a picture too (.png, .svg or .pdf)")


def run(args: argparse.Namespace) -> int:
    """Simulate and print.

    Raises:
        ValueError: the arguments do not fit together, or are out of bounds.
    """
    world = World(
        weights_K=args.weights,
        zero_grad_rates_K=args.zero_grad_rates,
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
    results = compare(world, args.samplers.split(","))
    if args.json:
        print(json.dumps(results))
    else:
        print_table(results)
    if args.out is not None:
        draw(results, args.out)
    return 0


def compare(world: World, samplers: Sequence[str] = SAMPLERS) -> list[dict[str, Any]]:
    """Run each sampler on the same groups; one dict of means a sampler, see `simulate`.

    Raises:
        ValueError: no such sampler.
    """
    for name in samplers:
        if name not in SAMPLERS:
            raise ValueError(f"no sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return [simulate(name, world) for name in samplers]


def print_table(results: list[dict[str, Any]]) -> None:
    """Print means a step; prompts and time also as multiples of the oracle's, where it is among the results."""
    from rich.console import Console
    from rich.table import Table

    oracle = next((row for row in results if row["sampler"] == "oracle"), None)
    table = Table(title="Means a step; time in median durations of a group")
    table.add_column("sampler")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for row in results:
        cells = [f"{row[key]:.3f}" if key in ("max_share_error", "shortfall") else f"{row[key]:.2f}" for key in COLUMNS]
        if oracle is not None:
            for column, key in enumerate(("prompts_per_step", "time_per_step")):
                if oracle[key]:
                    cells[column] += f" ({row[key] / oracle[key]:.2f}x)"
        table.add_row(row["sampler"], *cells)
    Console().print(table)


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Write a picture of prompts, time and share error, a bar a sampler.

    Raises:
        ValueError: the ending of `path` names no picture format.
    """
    from matplotlib.figure import Figure

    from mt_grpo_recipe.report.show.style import METHOD_MARKS, MUTED, styled

    names = [row["sampler"] for row in results]
    looks_of = {"rounds": "mt_grpo", "streaming": "mt_grpo_stream", "dapo": "dapo"}
    colors = [METHOD_MARKS[looks_of[name]].color if name in looks_of else MUTED for name in names]
    panels = ("prompts_per_step", "time_per_step", "max_share_error")
    with styled():
        figure = Figure(figsize=(3.2 * len(panels), 2.8), layout="constrained")
        for axis, key in zip(figure.subplots(1, len(panels)), panels, strict=True):
            axis.bar_label(axis.bar(names, [row[key] for row in results], color=colors), fmt="%.3g")
            axis.set_title(COLUMNS[key])
            axis.grid(visible=False, axis="x")
            axis.margins(y=0.15)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
