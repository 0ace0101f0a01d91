"""A right answer to a row, found without the generator, as a response that the row's reward function must give 1.0."""

from collections.abc import Callable
from typing import Any

from data_prep.countdown_solver import solve
from reward_fns.registry import Task
from reward_fns.scoring.truth import as_fields

MAX_NUMBERS = 6  # with more, the countdown solver takes seconds per puzzle


class NoSolution(ValueError):
    """The row's question has no right answer."""


def gold_response(task: Task, truth: Any) -> str | None:
    """Return a response with a right answer, or None where there is no way to find one for this kind of task.

    Args:
        task: the reward task of the row.
        truth: its ground truth, which the task's reward function can read.

    Raises:
        NoSolution: there is no right answer.
    """
    find = _FINDERS.get(task.name)
    return find(as_fields(truth)) if find else None


def _countdown(fields: dict[str, Any]) -> str | None:
    numbers = fields["numbers"]
    numbers = [int(number) for number in (numbers.split(",") if isinstance(numbers, str) else numbers)]
    if len(numbers) > MAX_NUMBERS:
        return None
    expression = solve(numbers, int(fields["target"]))
    if expression is None:
        raise NoSolution(f"no expression of {numbers} is worth {fields['target']}")
    return rf"\boxed{{{expression}}}"


def _boxed_target(fields: dict[str, Any]) -> str:
    target = fields["target"]
    return rf"\boxed{{{target[0] if isinstance(target, list) else target}}}"


def _tagged_target(fields: dict[str, Any]) -> str | None:
    # Braces are common in these answers, and a data set without one right answer has no target.
    return f"<answer>{fields['target']}</answer>" if "target" in fields else None


_FINDERS: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "countdown": _countdown,
    "rg": _tagged_target,
    **dict.fromkeys(
        ["arc", "zebra", "sciknoweval", "math", "math_train", "test_math", "test_amc", "test_aime"], _boxed_target
    ),
}
