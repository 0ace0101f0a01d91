"""Names of tasks: FAMILY-SIZE for the puzzles with sizes, rg:DATASET for any data set of reasoning-gym."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from reasoning_gym.factory import DATASETS, create_dataset

from data_prep import arc, countdown, rg, zebra
from data_prep.puzzle import MINI, Puzzle

FAMILIES: dict[str, ModuleType] = {"countdown": countdown, "arc": arc, "zebra": zebra}
"""Each has `SIZES`, `config(size)`, `items(size, seed, start)` and `puzzle(size, item)`."""

Settings = Mapping[str, Mapping[str, Any]]
"""Settings of reasoning-gym's data sets by task, such as {"rg:leg_counting": {"max_animals": 5}}."""

DIFFICULTY = {size: -number for number, size in enumerate(MINI)} | {"easy": 1, "medium": 2, "hard": 3}
"""Number of each size in the data: 1 to 3 as in the data released with the paper, the mini sizes from 0 downward."""
TASKS = tuple(f"{family}-{size}" for family in FAMILIES for size in DIFFICULTY)


def task_name(text: str) -> str:
    """Return the task that `text` ("countdown-mini", "countdown:mini" or "rg:leg_counting") names.

    Raises:
        ValueError: it names none; the message lists the known ones.
    """
    text = text.strip()
    if text.startswith("rg:"):
        if text[3:] not in DATASETS:
            raise ValueError(
                f"reasoning-gym has no data set {text[3:]!r}{_meant(text[3:])} It has {', '.join(sorted(DATASETS))}"
            )
        return text
    name = text.replace(":", "-")
    if name not in TASKS:
        raise ValueError(
            f"unknown task {text!r}: a task is FAMILY:SIZE with a family of {', '.join(FAMILIES)} "
            f"and a size of {', '.join(DIFFICULTY)}, for example countdown:mini, or rg:DATASET"
        )
    return name


def _meant(name: str) -> str:
    nearest = get_close_matches(name, DATASETS, n=1)
    return f": did you mean {nearest[0]!r}?" if nearest else "."


def parse_tasks(text: str) -> list[str]:
    """Return the tasks of a comma-separated list such as "countdown:mini,arc:mini"; errors as in `task_name`."""
    names = [task_name(part) for part in text.split(",") if part.strip()]
    if not names:
        raise ValueError(f"{text!r} names no task: a list of tasks is FAMILY:SIZE,..., for example countdown:mini")
    if len(set(names)) < len(names):
        raise ValueError(f"a task is named twice in {text!r}")
    return names


def family_and_size(task: str) -> tuple[ModuleType, str]:
    """The module that makes the puzzles of `task`, and the size to ask it for."""
    if task.startswith("rg:"):
        return rg, task[3:]
    family, size = task.split("-")
    return FAMILIES[family], size


def kind(task: str) -> str:
    """The family, data set or domain of `task`, within which no question may occur twice."""
    for prefix in ("rg:", "sciknoweval-"):
        if task.startswith(prefix):
            return task.removeprefix(prefix)
    return task.split("-")[0]


def require_settings(settings: Settings, names: Iterable[str]) -> None:
    """Raise ValueError unless every entry is for an rg task among `names`, and its data set takes the settings."""
    for task, own in settings.items():
        if task not in names or not task.startswith("rg:"):
            raise ValueError(f"settings for {task!r}, which is not one of the rg tasks asked for: {', '.join(names)}")
        if own.keys() & {"seed", "size"}:
            raise ValueError(
                f"the settings of {task!r} must not hold seed or size: --seed, --train and --test set them"
            )
    for task in names:
        if task.startswith("rg:"):
            own = dict(settings.get(task, {}))
            try:
                create_dataset(task[3:], seed=0, **own)
            except Exception as error:  # each data set refuses settings in its own way
                raise ValueError(f"reasoning-gym cannot make {task[3:]!r} with the settings {own}: {error}") from error


def config(task: str, **settings: Any) -> dict[str, Any]:
    """The settings of the generator behind `task`; `settings` are for rg tasks."""
    family, size = family_and_size(task)
    return family.config(size, **settings)


def items(task: str, seed: int, start: int = 0, **settings: Any) -> Iterator[Any]:
    """Yield the raw material of `puzzle` endlessly, from number `start` on; each task has its own random stream."""
    family, size = family_and_size(task)
    digest = hashlib.sha256(f"{task}/{seed}".encode()).digest()
    return family.items(size, int.from_bytes(digest[:6], "big"), start, **settings)


def puzzle(task: str, item: Any, **settings: Any) -> Puzzle:
    """The puzzle made from one of `items`."""
    family, size = family_and_size(task)
    return family.puzzle(size, item, **settings)


def stream(task: str, seed: int) -> Iterator[Puzzle]:
    """Yield puzzles of `task` endlessly, repeats included; the same `seed` gives the same puzzles."""
    task = task_name(task)
    return (puzzle(task, item) for item in items(task, seed))
