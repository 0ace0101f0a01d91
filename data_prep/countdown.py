"""Countdown: reach a target with the four operations, every number used exactly once.

mini, mini2, mini3:  "make 17 from 2 3 7"                  -> \\boxed{2*7+3}
others:              "... the numbers [8, 73, 96] ... 50"  -> \\boxed{...}
"""

from collections.abc import Iterator
from typing import Any

from data_prep import reasoning
from data_prep.puzzle import MINI, Puzzle, framed

SIZES: dict[str, dict[str, int]] = {
    "mini": {"numbers": 3, "max_value": 20, "max_target": 99},
    "mini2": {"numbers": 3, "max_value": 50, "max_target": 199},
    "mini3": {"numbers": 3, "max_value": 99, "max_target": 299},
    "easy": {"numbers": 3, "max_value": 100, "max_target": 1000},
    "medium": {"numbers": 4, "max_value": 100, "max_target": 1000},
    "hard": {"numbers": 5, "max_value": 100, "max_target": 1000},
}

_QUESTION = (
    "Write an arithmetic expression that is equal to {target}, with each of the numbers {numbers} in it exactly once. "
    "You may use +, -, *, / and parentheses. Explain how you find it, then give the expression alone, without an "
    "equals sign, inside \\boxed{{}}, for example \\boxed{{(4 + 2) * 7}}."
)


def config(size: str) -> dict[str, Any]:
    """The settings of reasoning-gym's generator."""
    limits = SIZES[size]
    return {
        "dataset": "countdown",
        "min_numbers": limits["numbers"],
        "max_numbers": limits["numbers"],
        "min_value": 1,
        "max_value": limits["max_value"],
        "min_target": 1,
        "max_target": limits["max_target"],
    }


def items(size: str, seed: int, start: int) -> Iterator[dict[str, Any]]:
    """Yield reasoning-gym's items of `size` endlessly, from number `start` on."""
    return reasoning.items(config(size), seed, start)


def puzzle(size: str, item: dict[str, Any]) -> Puzzle:
    """The puzzle made from one item."""
    numbers, target, expression = (item["metadata"][field] for field in ("numbers", "target", "expression"))
    if size in MINI:
        question = prompt = f"make {target} from {' '.join(map(str, numbers))}"
    else:
        question = _QUESTION.format(target=target, numbers=numbers)
        prompt = framed(question)
    return Puzzle(
        prompt=prompt,
        ground_truth={"numbers": ",".join(map(str, numbers)), "target": target},
        key=(*sorted(numbers), target),
        solution=expression.replace(" ", ""),
        question=question,
    )
