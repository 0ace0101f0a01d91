"""Zebra puzzles solved from the text of the prompt: sets of possible houses, narrowed clue by clue, then trial.

The generator makes them with a SAT solver. Of its package only the list of phrases is used here ("the Dunhill smoker"
stands for dunhill), since a clue names things by phrases and the lists above the clues by words.
"""

import re
from itertools import permutations, product

from reasoning_gym.logic.contrib.logic_puzzle import literals

_CLASSES = [item for item in vars(literals).values() if isinstance(item, type) and issubclass(item, literals.Literal)]
# Where a trait begins: " - The people are of nationalities: dane, brit"
_CLASS_OF = {each.description().partition(":")[0]: each for each in _CLASSES if each is not literals.Literal}
_HOUSES = ["first", "second", "third", "fourth", "fifth", "sixth"]

Item = str
Clue = tuple[str, Item, Item | int]
Puzzle = tuple[list[list[Item]], list[Clue]]


def read(text: str) -> Puzzle:
    """The traits, each a list of phrases, and the clues: how two of them lie, or one and its house."""
    traits = []
    for line in re.findall(r"^ - (.*)$", text, re.MULTILINE):
        about, _, words = line.partition(": ")
        kind = _CLASS_OF[about]
        traits.append([kind[word.replace(" ", "_")].value.strip() for word in words.split(", ")])
    phrases = {phrase for trait in traits for phrase in trait}
    clues = [_clue(sentence, phrases) for sentence in re.findall(r"^\d+\. (.*)\.$", text, re.MULTILINE)]
    return traits, clues


def _clue(sentence: str, phrases: set[str]) -> Clue:
    by_start = {phrase[0].upper() + phrase[1:]: phrase for phrase in phrases}
    for kind, pattern in [
        ("in", " is in the "),
        ("left", " is directly left of "),
        ("beside", " and "),
        ("is", " is "),
    ]:
        for match in re.finditer(re.escape(pattern), sentence):
            first, rest = by_start.get(sentence[: match.start()].strip()), sentence[match.end() :].strip()
            if kind == "beside":
                rest, found, _ = rest.partition(" are next to each other")
                if not found:
                    continue
            if first and kind == "in" and rest.removesuffix(" house") in _HOUSES:
                return kind, first, _HOUSES.index(rest.removesuffix(" house")) + 1
            if first and rest.strip() in phrases:
                return kind, first, rest.strip()
    raise ValueError(f"a clue of unknown form: {sentence!r}")


def solutions(puzzle: Puzzle, at_most: int = 2) -> list[dict[Item, int]]:
    """Up to `at_most` ways to give every item a house from 1 on."""
    traits, clues = puzzle
    houses = range(1, len(traits[0]) + 1)
    return _search({item: set(houses) for trait in traits for item in trait}, traits, clues, at_most)


def _search(
    possible: dict[Item, set[int]], traits: list[list[Item]], clues: list[Clue], at_most: int
) -> list[dict[Item, int]]:
    if not _narrow(possible, traits, clues):
        return []
    open_items = [item for item, houses in possible.items() if len(houses) > 1]
    if not open_items:
        return [{item: min(houses) for item, houses in possible.items()}]
    tried, found = min(open_items, key=lambda item: len(possible[item])), []
    for house in sorted(possible[tried]):
        copy = {item: set(houses) for item, houses in possible.items()} | {tried: {house}}
        found += _search(copy, traits, clues, at_most - len(found))
        if len(found) >= at_most:
            break
    return found


def _narrow(possible: dict[Item, set[int]], traits: list[list[Item]], clues: list[Clue]) -> bool:
    """Strike out houses until nothing changes; False where an item has none left."""
    changed = True
    while changed:
        before = sum(map(len, possible.values()))
        for kind, first, second in clues:
            if kind == "in":
                possible[first] &= {second}
            else:
                pairs = [pair for pair in product(possible[first], possible[second]) if _holds(kind, *pair)]
                possible[first] = {a for a, _ in pairs}
                possible[second] = {b for _, b in pairs}
        for trait in traits:
            for item in trait:
                if len(possible[item]) == 1:
                    for other in trait:
                        if other != item:
                            possible[other] = possible[other] - possible[item]
        if not all(possible.values()):
            return False
        changed = sum(map(len, possible.values())) < before
    return True


def _holds(kind: str, a: int, b: int) -> bool:
    return {"is": a == b, "left": b - a == 1, "beside": abs(a - b) == 1}[kind]


def solutions_by_permutations(puzzle: Puzzle) -> list[dict[Item, int]]:
    """All of them, by trying every arrangement: (houses!)^traits."""
    traits, clues = puzzle
    orders = [list(permutations(range(1, len(trait) + 1))) for trait in traits]
    found = []
    for choice in product(*orders):
        at = dict(pair for trait, order in zip(traits, choice, strict=True) for pair in zip(trait, order, strict=True))
        if all(at[a] == b if kind == "in" else _holds(kind, at[a], at[b]) for kind, a, b in clues):
            found.append(at)
    return found
