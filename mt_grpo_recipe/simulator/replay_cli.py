"""`mt-grpo replay`: what a recorded run would have cost with other settings of its sampler."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mt_grpo_recipe.algorithm.settings import SCHEDULES, MTGRPOConfig
from mt_grpo_recipe.config import ConfigError, load_config
from mt_grpo_recipe.history.reading import RecordedRun, read_history
from mt_grpo_recipe.metrics import task_slugs
from mt_grpo_recipe.simulator.replay import check_record, replay
from mt_grpo_recipe.simulator.replay_cost import TITLES, replay_cost
from mt_grpo_recipe.simulator.world import require_size

OF_THE_ENGINE = ("poll_interval_s", "stall_timeout_s")
"""Settings that say how long to wait for an engine; a replay has none."""

Figures = dict[str, float | None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="a run's directory, with decisions.jsonl and outcomes.jsonl in it or in its folder `checkpoints`",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="a setting of the sampler to change, such as sampler.oversample=2; several make one replay",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of groups drawn from nearby steps (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")


def run(args: argparse.Namespace) -> int:
    """Replay and print.

    Raises:
        HistoryError: the run's history cannot be read, or does not hold what the settings ask for.
        ConfigError: a setting or the seed cannot be used.
    """
    if args.seed < 0:
        raise ConfigError(f"--seed {args.seed}: it must be 0 or more")
    if args.seed and not args.assignments:
        raise ConfigError(
            f"--seed {args.seed} without --set: nothing is drawn under the run's own settings. Leave it out"
        )
    recorded = read_history(args.run)
    config = settings_of(recorded, args.assignments)
    slugs = list(task_slugs(recorded.tasks).values())
    own = list(replay(recorded, settings_of(recorded, [])))
    check_record(recorded, own)
    results = {"recorded": replay_cost(slugs, own)}
    if args.assignments:
        results["replayed"] = replay_cost(slugs, list(replay(recorded, config, args.seed)))
    if args.json:
        print(json.dumps({"steps": len(recorded.steps), "set": args.assignments, **results}))
    else:
        _print(recorded, args.assignments, results)
    return 0


def settings_of(run: RecordedRun, assignments: Sequence[str]) -> MTGRPOConfig:
    """The run's settings, with some of the sampler's changed.

    Args:
        run: the run. Where the schedule is changed, the new one takes over the settings that both read.
        assignments: each `sampler.NAME=VALUE`, with or without `mt_grpo.` before it.

    Raises:
        ConfigError: what is set is not a setting of the sampler, cannot be used, or has no effect in a replay.
        ValueError: a step would have more groups than can be simulated.
    """
    given = dict(map(_assignment, assignments))
    sampler: dict[str, Any] = dict(run.sampler)
    schedule = given.get("schedule", sampler["schedule"])
    if isinstance(schedule, str) and schedule != sampler["schedule"] and schedule in SCHEDULES:
        read = SCHEDULES[schedule].__dataclass_fields__
        sampler = {name: value for name, value in sampler.items() if name in read}
    general = {
        "seed": run.seed,
        "loss_weighting": run.loss_weighting,
        "max_loss_weight": run.max_loss_weight,
        "rewards": dict(run.rewards),
    }
    config = load_config({**general, "sampler": {**sampler, **given}})
    require_size(config.sampler, run.batch_size, lambda name: f"sampler.{name}={getattr(config.sampler, name):g}")
    return config


def _assignment(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    name = name.removeprefix("mt_grpo.")
    if not value.strip() or not name.startswith("sampler.") or name == "sampler.":
        raise ConfigError(
            f"--set {text}: give a setting of the sampler as sampler.NAME=VALUE, such as sampler.oversample=2. "
            "Weights, batch size and data are those of the run, as the policy was trained with them"
        )
    name = name.removeprefix("sampler.")
    if name in OF_THE_ENGINE:
        raise ConfigError(f"--set {text} has no effect in a replay, which waits for no engine: leave it out")
    try:
        return name, yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:  # A date that does not exist is a ValueError.
        raise ConfigError(f"--set {text}: {value!r} cannot be read as YAML") from error


def _print(run: RecordedRun, assignments: Sequence[str], results: Mapping[str, Figures]) -> None:
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        # A file or a pipe has no width, so no title may be cut to fit.
        console.width = max(console.width, 120)
    console.print(_table(len(run.steps), assignments, results))
    lines = ["Under its own settings the replay chooses the groups that the run chose, in every step."]
    if assignments:
        lines.append(
            "Weights and policy are those of the run at each step: how another batch would have changed them is not "
            "known. Groups beyond those that a step recorded are drawn, with replacement, from its task's groups in "
            "the nearest steps."
        )
    for line in lines:
        console.print(line, style="dim", soft_wrap=True, markup=False)


def _table(steps: int, assignments: Sequence[str], results: Mapping[str, Figures]) -> Table:
    table = Table(
        title=f"{steps} steps" + (f", replayed with {' '.join(assignments)}" if assignments else ""),
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        collapse_padding=True,
    )
    table.add_column("", overflow="fold")
    for header in (*results, *(["change"] if len(results) > 1 else [])):
        table.add_column(header, justify="right")
    for name, title in TITLES.items():
        values = [figures[name] for figures in results.values()]
        table.add_row(title, *(_shown(name, value) for value in values), *_change(values))
    return table


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if "share" in name or name == "skipped_steps":
        return f"{100 * value:.1f} %"
    return f"{value:,.1f}"


def _change(values: list[float | None]) -> list[str]:
    """The second of two values as a multiple of the first; nothing for a single one."""
    if len(values) < 2:
        return []
    before, after = values
    return ["-" if not before or after is None else f"x {after / before:.2f}"]
