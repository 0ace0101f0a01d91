r"""Right answers to a row, found without the generator, as responses to which the row's reward function must give 1.0.

The target itself proves little where the judge compares text before values: a target that it cannot read equals itself,
but no other spelling. So a target comes respelled, too, where its task has a spelling that says the same:

    math         \frac{1}{2}       -> $\displaystyle \frac{1}{2}$
    sciknoweval  B; True; (a, b), (c, d); table salt  -> (b); Yes; (c, d), (a, b); \text{table  salt}
    zebra        carol             -> CAROL
    rg           Yes; 14; -2.5     -> \text{Yes}.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from data_prep.countdown_solver import solve
from reward_fns.maths import is_read
from reward_fns.registry import Task
from reward_fns.sciknoweval import read_answers, read_targets
from reward_fns.scoring.relations import tuples
from reward_fns.scoring.truth import as_fields

MATHS = ("math", "math_train", "test_math", "test_amc", "test_aime")
_PLAIN = re.compile("[A-Za-z]+|-?[0-9]+([.][0-9]+)?")
MAX_NUMBERS = 6  # with more, the countdown solver takes seconds per puzzle


class NoSolution(ValueError):
    """The row's question has no right answer."""


def _always() -> bool:
    return True


class Gold(NamedTuple):
    """A response with a right answer."""

    response: str
    respelled: str | None = None
    """The same answer in another spelling; None where there is none."""
    is_read: Callable[[], bool] = _always
    """Whether the judge takes the answer for more than letters."""
    is_target: bool = False
    """Whether this is the target of a task that nothing is known of, as it stands."""


def golds(task: Task, truth: Any) -> list[Gold]:
    """One response per right answer that the row names; empty where none can be found.

    Args:
        task: the reward task of the row.
        truth: its ground truth, which the task's reward function can read.

    Raises:
        NoSolution: there is no right answer.
    """
    fields = as_fields(truth)
    if task.name == "countdown":
        return _countdown(fields)
    if task.name == "rg":
        return _reasoning(fields)
    if is_own(task):
        return _own(fields)
    respell = _RESPELL[task.name]
    found = []
    for entry in read_targets(fields) if task.name == "sciknoweval" else [fields["target"]]:
        respelled = respell(str(entry).strip(), fields)
        reader = partial(is_read, str(entry)) if task.name in MATHS else _always
        found.append(Gold(_boxed(str(entry)), _boxed(respelled) if respelled else None, reader))
    return found


def is_own(task: Task) -> bool:
    """Whether it is a task of somebody's own, of which nothing is known here."""
    return task.name not in ("countdown", "rg", *_RESPELL)


def _countdown(fields: dict[str, Any]) -> list[Gold]:
    numbers = fields["numbers"]
    numbers = [int(number) for number in (numbers.split(",") if isinstance(numbers, str) else numbers)]
    if len(numbers) > MAX_NUMBERS:
        return []
    expression = solve(numbers, int(fields["target"]))
    if expression is None:
        raise NoSolution(f"no expression of {numbers} is worth {fields['target']}")
    return [Gold(_boxed(expression))]


def _reasoning(fields: dict[str, Any]) -> list[Gold]:
    """In tags, since braces are common; empty where the data set names no answer, having no unique one."""
    if "target" not in fields:
        return []
    target = str(fields["target"])
    respelled = rf"<answer>\text{{{target}}}.</answer>" if _PLAIN.fullmatch(target) else None
    return [Gold(f"<answer>{target}</answer>", respelled)]


def _own(fields: dict[str, Any]) -> list[Gold]:
    """The target of somebody's own task, if it is text and all that there is: then it can only be the answer."""
    target = fields.get("target")
    if not isinstance(target, str) or len(fields) > 1:
        return []
    return [Gold(f"<answer>{target}</answer>" if set(target) & set("{}") else _boxed(target), is_target=True)]


def _maths(target: str, fields: dict[str, Any]) -> str:
    """With a command that changes nothing but has to be read; after a name, as in "x = 5"."""
    if len(target) > 2 and target[0] == target[-1] == "$":
        target = target[1:-1]
    name, equals, value = target.rpartition("=")
    return rf"${name}{equals}\displaystyle {value}$"


def _science(target: str, fields: dict[str, Any]) -> str | None:
    kind, _, as_relations = read_answers(fields)
    if kind == "choice":
        return f"({target.strip('().: ').lower()})"
    if kind == "judgement":
        return {"t": "Yes", "f": "No", "y": "True", "n": "False"}.get(target[0].lower())
    relations = tuples(target) if as_relations else None
    if relations and len(relations) > 1:
        return ", ".join(f"({', '.join(parts)})" for parts in reversed(relations))
    if set(target) & set("\\{}$"):
        return None
    return rf"\text{{{'  '.join(target.split())}}}"


_RESPELL: dict[str, Callable[[str, dict[str, Any]], str | None]] = {
    "arc": lambda target, fields: None,
    "zebra": lambda target, fields: target.swapcase(),
    "sciknoweval": _science,
    **dict.fromkeys(MATHS, _maths),
}


def _boxed(answer: str) -> str:
    return rf"\boxed{{{answer}}}"
