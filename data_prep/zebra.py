"""Zebra: a row of houses, a few clues, who lives where?

mini, mini2, mini3:  "houses y<x y=b c<b"               -> \\boxed{cba}, the people from left to right
others:              clues in words, asks for House 1   -> \\boxed{carol}

A mini clue names a person (a to d), a thing (w to z; p to s of a second kind) or a house (1 to 4): "=" is "the same
house", "<" is "directly left of", "~" is "next to".
"""

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

from reasoning_gym.logic.contrib.logic_puzzle import clues as rg_clues
from reasoning_gym.logic.contrib.logic_puzzle.generate import generate_puzzle
from reasoning_gym.logic.contrib.logic_puzzle.literals import Literal, Name
from reasoning_gym.logic.contrib.logic_puzzle.puzzle import Puzzle as Clues

from data_prep import reasoning
from data_prep.puzzle import MINI, Puzzle, framed

SIZES: dict[str, tuple[int, int]] = {
    "mini": (3, 2),
    "mini2": (3, 3),
    "mini3": (4, 2),
    "easy": (3, 3),
    "medium": (4, 4),
    "hard": (5, 5),
}
"""People, and traits that each has, the name among them."""

_TAIL = "\nWhat is Name of the person who lives in House 1?"  # where RG's puzzle ends and its question begins
_QUESTION = (
    "{puzzle}\n\n"
    "All clues are true and together leave one arrangement. What is the name of the person in House 1? Explain how the "
    "clues lead you there, then give the name alone inside \\boxed{{}}, for example \\boxed{{peter}}."
)


def config(size: str) -> dict[str, Any]:
    """The settings of reasoning-gym's generator."""
    people, traits = SIZES[size]
    return {"dataset": "zebra_puzzles", "num_people": people, "num_characteristics": traits}


def items(size: str, seed: int, start: int) -> Iterator[Any]:
    """Yield reasoning-gym's items of `size` endlessly, from number `start` on.

    A solver looks for a smallest set of clues: about 13, 17, 63 and 290 ms per puzzle, from mini to hard.
    """
    return _mini_items(size, seed, start) if size in MINI else reasoning.items(config(size), seed, start)


def puzzle(size: str, item: Any) -> Puzzle:
    """The puzzle made from one item."""
    return _mini_puzzle(*item) if size in MINI else _full_puzzle(item)


def _full_puzzle(item: dict[str, Any]) -> Puzzle:
    text, tail, _ = item["question"].partition(_TAIL)
    if not tail:
        raise RuntimeError(f"reasoning-gym words its zebra question differently than expected: {item['question']!r}")
    answer = item["answer"].lower()
    question = _QUESTION.format(puzzle=text.strip())
    # Without the numbers of the clues, so that the same clues in another order are the same question.
    clues = sorted(line.partition(". ")[2] for line in text.splitlines() if line[:1].isdigit())
    return Puzzle(
        prompt=framed(question), ground_truth={"target": answer}, key=tuple(clues), solution=answer, question=question
    )


def _mini_items(size: str, seed: int, start: int) -> Iterator[tuple[Random, Clues]]:
    """Yield puzzles with the random generator that then names their parts: RG's own data set words them at length."""
    for number in count(start):
        rng = Random(seed + number)
        yield rng, generate_puzzle(rng, *SIZES[size])[1]


def _mini_puzzle(rng: Random, found: Clues) -> Puzzle:
    house_of: dict[Literal, int] = dict(found.solution or {})
    letter_of = _letters(rng, list(house_of))
    clues = [_compact(clue, letter_of) for clue in sorted(found.clues)]
    rng.shuffle(clues)
    people = [item for item in house_of if isinstance(item, Name)]
    answer = "".join(letter_of[person] for person in sorted(people, key=house_of.__getitem__))
    prompt = f"houses {' '.join(clues)}"
    return Puzzle(
        prompt=prompt, ground_truth={"target": answer}, key=tuple(sorted(clues)), solution=answer, question=prompt
    )


def _letters(rng: Random, items: list[Literal]) -> dict[Literal, str]:
    """Name the people a, b, ..., things of the second trait x, y, ... and of the third p, q, ..., in random order."""
    letter_of: dict[Literal, str] = {}
    kinds = dict.fromkeys(type(item) for item in items)
    alphabets = ("abcd", "xyzw", "pqrs")[: len(kinds)]
    for kind, letters in zip(sorted(kinds, key=lambda kind: kind is not Name), alphabets, strict=True):
        members = [item for item in items if type(item) is kind]
        rng.shuffle(members)
        letter_of |= zip(members, letters[: len(members)], strict=True)
    return letter_of


def _compact(clue: rg_clues.Clue, letter_of: dict[Literal, str]) -> str:
    """Write one clue in the notation at the top of this file."""
    match clue:
        case rg_clues.found_at(value=item, house=house):
            return f"{letter_of[item]}={house}"
        case rg_clues.same_house(value1=first, value2=second):
            return f"{letter_of[first]}={letter_of[second]}"
        case rg_clues.consecutive(value1=first, value2=second):
            return f"{letter_of[first]}<{letter_of[second]}"
        case rg_clues.beside(value1=first, value2=second):
            return f"{letter_of[first]}~{letter_of[second]}"
    raise RuntimeError(f"reasoning-gym gave a clue of unknown kind: {clue!r}")
