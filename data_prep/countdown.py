"""Countdown: reach a target with the four operations, every number used exactly once.

mini:    "make 17 from 2 3 7"                  -> \\boxed{2*7+3}
others:  "... the numbers [8, 73, 96] ... 50"  -> \\boxed{...}
"""

from collections.abc import Iterator

from reasoning_gym import create_dataset

from data_prep.puzzle import Puzzle, framed

SIZES: dict[str, dict[str, int]] = {
    "mini": {"numbers": 3, "max_value": 20, "max_target": 99},
    "easy": {"numbers": 3, "max_value": 100, "max_target": 1000},
    "medium": {"numbers": 4, "max_value": 100, "max_target": 1000},
    "hard": {"numbers": 5, "max_value": 100, "max_target": 1000},
}

_QUESTION = (
    "Write an arithmetic expression that is equal to {target}, with each of the numbers {numbers} in it exactly once. "
    "You may use +, -, *, / and parentheses. Explain how you find it, then give the expression alone, without an "
    "equals sign, inside \\boxed{{}}, for example \\boxed{{(4 + 2) * 7}}."
)


def stream(size: str, seed: int) -> Iterator[Puzzle]:
    """Yield puzzles of `size` (a key of `SIZES`) without end; the same `seed` gives the same puzzles."""
    limits = SIZES[size]
    source = create_dataset(
        "countdown",
        seed=seed,
        min_numbers=limits["numbers"],
        max_numbers=limits["numbers"],
        min_value=1,
        max_value=limits["max_value"],
        min_target=1,
        max_target=limits["max_target"],
    )
    index = 0
    while True:
        item = source[index]["metadata"]
        index += 1
        numbers, target = item["numbers"], item["target"]
        if size == "mini":
            prompt = f"make {target} from {' '.join(map(str, numbers))}"
        else:
            prompt = framed(_QUESTION.format(target=target, numbers=numbers))
        yield Puzzle(
            prompt=prompt,
            ground_truth={"numbers": ",".join(map(str, numbers)), "target": target},
            key=(*sorted(numbers), target),
            solution=item["expression"].replace(" ", ""),
        )
