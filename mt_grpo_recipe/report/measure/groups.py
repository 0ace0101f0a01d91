"""Groups of runs: the seeds of one method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.read.log import Run, RunLogError

SHIPPED_METHODS = (
    "grpo",
    "sec_grpo",
    "dapo",
    "sec_dapo",
    "grpo_iwu",
    "grpo_rps",
    "mt_grpo",
    "mt_grpo_reg",
    "mt_grpo_stream",
    "mt_grpo_lean",
)
"""In the order in which tables and figures list them."""


@dataclass(frozen=True)
class Group:
    """Runs that differ in the seed alone.

    Attributes:
        name: what tables and figures call it: the label, or else the method.
        method: the method.
        runs: at least one, by seed.
    """

    name: str
    method: str
    runs: tuple[Run, ...]


def over_runs(group: Group, measure: Callable[[Run], float | None]) -> Stat:
    """One number per run, summarised over the group; None or NaN stands for a run without it."""
    return Stat.of(measure(run) for run in group.runs)


def group_runs(runs: Sequence[Run]) -> tuple[Group, ...]:
    """Group runs by method, and by label where there is one; shipped methods first, then the others in order."""
    by_name: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_name.setdefault((run.group, run.method), []).append(run)
    names = [name for name, _ in by_name]
    groups = [
        # Two methods under one label are still two groups, and need names that tell them apart.
        Group(name if names.count(name) == 1 else f"{name} ({method})", method, tuple(sorted(members, key=_by_seed)))
        for (name, method), members in by_name.items()
    ]
    place_of = {method: place for place, method in enumerate(SHIPPED_METHODS)}
    return tuple(sorted(groups, key=lambda group: place_of.get(group.method, len(place_of))))


def _by_seed(run: Run) -> tuple[bool, int]:
    return run.seed is None, run.seed or 0


def find_baseline(groups: Sequence[Group], wanted: str | None) -> Group | None:
    """The group to compare against.

    Args:
        groups: all groups.
        wanted: a group's name, a method, or the path of a run or of a directory of runs, which stands for their group
            with all its seeds. None takes "dapo", as the paper does, if there is one such group beside others.

    Returns:
        The group; None if none was asked for and there is no "dapo".

    Raises:
        RunLogError: what is wanted is not among the groups, or could be several.
    """
    if wanted is None:
        found = [group for group in groups if group.method == "dapo"]
        return found[0] if len(found) == 1 < len(groups) else None
    found = [group for group in groups if group.name == wanted]
    found = found or [group for group in groups if group.method == wanted]
    if not found:
        place = Path(wanted).resolve()
        found = [g for g in groups if any(place in (p := run.path.resolve(), *p.parents) for run in g.runs)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(group.name) for group in found or groups)
    if not found:
        raise RunLogError(f"--baseline {wanted!r} fits no run: use one of {names}")
    raise RunLogError(f"--baseline {wanted!r} fits several: {names}; name one of them")
