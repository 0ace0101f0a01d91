"""ARC in one dimension: find the rule that turns one row of digits into another, and apply it.

mini, mini2, mini3:  "rule 002200>022000 000330>003300 040000>?"  -> \\boxed{4 0 0 0 0 0}
others:              three examples and a test row, digits spaced -> \\boxed{0 0 3 ...}
"""

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

from reasoning_gym.arc.arc_1d_tasks import ARC_1D_TASKS

from data_prep import reasoning
from data_prep.puzzle import MINI, Puzzle, framed

SIZES: dict[str, int] = {"mini": 6, "mini2": 8, "mini3": 10, "easy": 10, "medium": 20, "hard": 30}  # digits in a row
_MINI_EXAMPLES, _EXAMPLES = 2, 3

# The rules of the mini sizes: few enough for a character-level model of a million parameters to tell apart.
MINI_RULES = (
    "move_1pix_solid_right",
    "move_1pix_solid_left",
    "move_2pix_solid_right",
    "move_2pix_solid_left",
    "gravity_right",
    "gravity_left",
    "two_points_and_fill",
    "reflect_block_with_border_pixel",
)

_QUESTION = (
    "A rule that you are not told turns a row of digits into another row of the same length. Three input rows follow "
    "below, each with the output row that the rule makes of it.\n\n{examples}\n\n"
    "Work out a rule that explains all three examples, and apply it to this input row:\n\n{test}\n\n"
    "Explain how you found the rule and how you applied it. Then give the output row alone, its digits separated by "
    "single spaces and without commas or brackets around them, inside \\boxed{{}}."
)


def config(size: str) -> dict[str, Any]:
    """The settings of reasoning-gym's generator; for the mini sizes the rules, since its data set has all of them."""
    length = SIZES[size]
    if size in MINI:
        return {"rules": list(MINI_RULES), "size": length, "num_train": _MINI_EXAMPLES}
    return {"dataset": "arc_1d", "min_size": length, "max_size": length, "num_train": _EXAMPLES}


def items(size: str, seed: int, start: int) -> Iterator[list[dict[str, list[int]]]]:
    """Yield puzzle after puzzle, from number `start` on, each as its examples and, last, its test pair."""
    if size in MINI:
        return islice(_mini_pairs(SIZES[size], seed), start, None)
    found = (item["metadata"] for item in reasoning.items(config(size), seed, start))
    return ([*item["train_examples"], item["test_example"]] for item in found)


def puzzle(size: str, item: list[dict[str, list[int]]]) -> Puzzle:
    """The puzzle made from one item."""
    is_mini = size in MINI
    gap = "" if is_mini else " "
    *examples, test = item
    rows = [(gap.join(map(str, pair["input"])), gap.join(map(str, pair["output"]))) for pair in examples]
    given, wanted = gap.join(map(str, test["input"])), " ".join(map(str, test["output"]))
    if is_mini:
        question = prompt = f"rule {' '.join(f'{before}>{after}' for before, after in rows)} {given}>?"
    else:
        shown = "\n\n".join(
            f"Example {number}\nInput: {before}\nOutput: {after}" for number, (before, after) in enumerate(rows, 1)
        )
        question = _QUESTION.format(examples=shown, test=f"Input: {given}")
        prompt = framed(question)
    key = (*sorted(f"{before}>{after}" for before, after in rows), given)
    return Puzzle(prompt=prompt, ground_truth={"target": wanted}, key=key, solution=wanted, question=question)


def _mini_pairs(length: int, seed: int) -> Iterator[list[dict[str, list[int]]]]:
    """One random stream over `MINI_RULES`: a later start still has to draw all that comes before."""
    rng = Random(seed)
    while True:
        rule, options = ARC_1D_TASKS[rng.choice(MINI_RULES)]
        pairs: list[dict[str, list[int]]] = []
        while len(pairs) <= _MINI_EXAMPLES:
            pair = rule(rng, length, **options)
            if pair is not None:  # a rule may find its random draw unusable
                pairs.append(pair)
        yield pairs
