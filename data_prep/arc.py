"""ARC in one dimension: find the rule that turns one row of digits into another, and apply it.

mini:    "rule 002200>022000 000330>003300 040000>?"  -> \\boxed{4 0 0 0 0 0}
others:  three examples and a test row, digits apart  -> \\boxed{0 0 3 ...}
"""

from collections.abc import Iterator
from random import Random

from reasoning_gym import create_dataset
from reasoning_gym.arc.arc_1d_tasks import ARC_1D_TASKS

from data_prep.puzzle import Puzzle, framed

SIZES: dict[str, int] = {"mini": 6, "easy": 10, "medium": 20, "hard": 30}  # digits in a row
_EXAMPLES = {"mini": 2, "easy": 3, "medium": 3, "hard": 3}

# The rules of the mini size: few enough for a character-level model of a million parameters to tell apart.
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
    "One hidden rule turns each input row of digits below into its output row.\n\n{examples}\n\n"
    "Work out the rule from these examples and apply it to this new input row:\n\n{test}\n\n"
    "Explain how you found the rule, then give the output row alone, its digits separated by single spaces, inside "
    "\\boxed{{}}."
)


def stream(size: str, seed: int) -> Iterator[Puzzle]:
    """Yield puzzles of `size` (a key of `SIZES`) without end; the same `seed` gives the same puzzles."""
    pairs = _mini_pairs(seed) if size == "mini" else _full_pairs(size, seed)
    gap = "" if size == "mini" else " "
    for *examples, test in pairs:
        rows = [(gap.join(map(str, pair["input"])), gap.join(map(str, pair["output"]))) for pair in examples]
        given, wanted = gap.join(map(str, test["input"])), " ".join(map(str, test["output"]))
        if size == "mini":
            prompt = f"rule {' '.join(f'{before}>{after}' for before, after in rows)} {given}>?"
        else:
            shown = "\n\n".join(
                f"Example {number}\nInput: {before}\nOutput: {after}" for number, (before, after) in enumerate(rows, 1)
            )
            prompt = framed(_QUESTION.format(examples=shown, test=f"Input: {given}"))
        yield Puzzle(prompt=prompt, ground_truth={"target": wanted}, key=prompt, solution=wanted)


def _full_pairs(size: str, seed: int) -> Iterator[list[dict[str, list[int]]]]:
    """Yield the examples and, last, the test pair of one puzzle after the other, over all of RG's rules."""
    length = SIZES[size]
    source = create_dataset("arc_1d", seed=seed, min_size=length, max_size=length, num_train=_EXAMPLES[size])
    index = 0
    while True:
        item = source[index]["metadata"]
        index += 1
        yield [*item["train_examples"], item["test_example"]]


def _mini_pairs(seed: int) -> Iterator[list[dict[str, list[int]]]]:
    """As `_full_pairs`, over `MINI_RULES` only: RG's own dataset refuses rows of fewer than eight digits."""
    rng = Random(seed)
    while True:
        rule, options = ARC_1D_TASKS[rng.choice(MINI_RULES)]
        pairs: list[dict[str, list[int]]] = []
        while len(pairs) <= _EXAMPLES["mini"]:
            pair = rule(rng, SIZES["mini"], **options)
            if pair is not None:  # a rule may find its random draw unusable
                pairs.append(pair)
        yield pairs
