"""Zebra: a row of houses, a few clues, who lives where?

mini:    "houses y<x y=b c<b"               -> \\boxed{cba}, the people from left to right
others:  clues in words, asks for House 1   -> \\boxed{carol}

A mini clue names a person (a, b, c), a thing (x, y, z) or a house (1, 2, 3): "=" is "the same house", "<" is "directly
left of", "~" is "next to".
"""

from collections.abc import Iterator
from random import Random

from reasoning_gym import create_dataset
from reasoning_gym.logic.contrib.logic_puzzle import clues as rg_clues
from reasoning_gym.logic.contrib.logic_puzzle.generate import generate_puzzle
from reasoning_gym.logic.contrib.logic_puzzle.literals import Literal, Name

from data_prep.puzzle import Puzzle, framed

SIZES: dict[str, tuple[int, int]] = {"mini": (3, 2), "easy": (3, 3), "medium": (4, 4), "hard": (5, 5)}  # people, traits

_TAIL = "\nWhat is Name of the person who lives in House 1?"  # where RG's puzzle ends and its question begins
_QUESTION = (
    "{puzzle}\n\n"
    "What is the name of the person in House 1? Explain how the clues lead you there, then give the name alone inside "
    "\\boxed{{}}, for example \\boxed{{peter}}."
)


def stream(size: str, seed: int) -> Iterator[Puzzle]:
    """Yield puzzles of `size` (a key of `SIZES`) without end; the same `seed` gives the same puzzles.

    RG looks for a smallest set of clues with a solver: about 13, 17, 63 and 290 ms a puzzle from mini to hard.
    """
    return _mini_stream(seed) if size == "mini" else _full_stream(size, seed)


def _full_stream(size: str, seed: int) -> Iterator[Puzzle]:
    people, traits = SIZES[size]
    source = create_dataset("zebra_puzzles", seed=seed, num_people=people, num_characteristics=traits)
    index = 0
    while True:
        item = source[index]
        index += 1
        puzzle, tail, _ = item["question"].partition(_TAIL)
        if not tail:
            raise RuntimeError(
                f"reasoning-gym words its zebra question differently than expected: {item['question']!r}"
            )
        answer = item["answer"].lower()
        prompt = framed(_QUESTION.format(puzzle=puzzle.strip()))
        yield Puzzle(prompt=prompt, ground_truth={"target": answer}, key=prompt, solution=answer)


def _mini_stream(seed: int) -> Iterator[Puzzle]:
    index = 0
    while True:
        rng = Random(seed + index)
        index += 1
        _, puzzle = generate_puzzle(rng, *SIZES["mini"])
        house_of: dict[Literal, int] = dict(puzzle.solution or {})
        letter_of = _letters(rng, list(house_of))
        clues = [_compact(clue, letter_of) for clue in sorted(puzzle.clues)]
        rng.shuffle(clues)
        people = [item for item in house_of if isinstance(item, Name)]
        answer = "".join(letter_of[person] for person in sorted(people, key=house_of.__getitem__))
        yield Puzzle(
            prompt=f"houses {' '.join(clues)}",
            ground_truth={"target": answer},
            key=tuple(sorted(clues)),
            solution=answer,
        )


def _letters(rng: Random, items: list[Literal]) -> dict[Literal, str]:
    """Give the people a, b, c and the things x, y, z, in random order."""
    people = [item for item in items if isinstance(item, Name)]
    things = [item for item in items if not isinstance(item, Name)]
    rng.shuffle(people)
    rng.shuffle(things)
    return dict(zip([*people, *things], "abcxyz", strict=True))


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
