r"""Countdown: reach the target with every given number used exactly once and + - * / only.

    ground_truth {"numbers": "8,73,96", "target": 31}, answer "96 - 73 + 8"  ->  correct

An answer may go on with "= 31": a right-hand side must be the target itself. Leading minus signs are allowed; with a
positive target they reach nothing that subtraction cannot. A number must be written as it was given: "08" is wrong.
`\times`, `\frac`, unicode signs, square brackets and `(12)(5)` are read as on paper; "x" is a letter.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from reward_fns.registry import register
from reward_fns.scoring.arithmetic import evaluate, tokenize
from reward_fns.scoring.normalise import normalised
from reward_fns.scoring.truth import read_whole_number


class Puzzle(NamedTuple):
    """The numbers to use, as sorted decimal texts, and the value to reach."""

    numbers: list[str]
    target: int


def read_puzzle(fields: dict[str, Any], **_: Any) -> Puzzle:
    """Numbers from "8,73,96" or a list, target from 31 or "31"; raises ValueError for anything else."""
    numbers = fields.get("numbers")
    if isinstance(numbers, list):
        numbers = ",".join(str(read_whole_number(number, "numbers")) for number in numbers)
    if not isinstance(numbers, str) or not numbers:
        raise ValueError("the field 'numbers' must be a list of numbers or text such as '8,73,96'")
    return _puzzle(numbers, read_whole_number(fields.get("target"), "target"))


@lru_cache(maxsize=256)
def _puzzle(numbers: str, target: int) -> Puzzle:
    """Cached, because the rollouts of a group come with the same puzzle."""
    values = [read_whole_number(number, "numbers") for number in numbers.split(",")]
    if min(values) < 0:
        raise ValueError("the field 'numbers' must not hold negative numbers")
    return Puzzle(sorted(map(str, values)), target)


@register("countdown", truth=read_puzzle)
def reaches_the_target(answer: str, puzzle: Puzzle, **_: Any) -> bool:
    """Whether the answer is an expression of exactly these numbers whose exact value is the target."""
    try:
        tokens = tokenize(normalised(answer))
        if "=" in tokens:
            at = tokens.index("=")
            tokens, right = tokens[:at], tokens[at + 1 :]
            if right != tokenize(str(puzzle.target)):
                return False
        # Compared as text before anything is computed: a number of a million digits is never turned into an int.
        if sorted(filter(str.isdecimal, tokens)) != puzzle.numbers:
            return False
        return evaluate(tokens) == puzzle.target
    except ArithmeticError:
        return False
