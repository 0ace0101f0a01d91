r"""Kinds of change that make a gold a different answer, each with the families of golds it applies to."""

import re
from collections.abc import Callable

from golds import ALL, GOLDS, VALUES
from spelling import words_of


def digit_changes(gold: str) -> list[str]:
    """Every digit in turn, one higher."""
    return [gold[: m.start()] + str((int(m[0]) + 1) % 10) + gold[m.end() :] for m in re.finditer(r"\d", gold)]


def sign_change(gold: str) -> list[str]:
    """The first sign removed, or a sign added in front."""
    return [gold[1:] if gold.startswith("-") else f"-({gold})"]


def swaps(old: str, new: str) -> Callable[[str], list[str]]:
    """One occurrence for another, each in turn."""
    return lambda gold: [gold[: m.start()] + new + gold[m.end() :] for m in re.finditer(re.escape(old), gold)]


def reversed_tuple(gold: str) -> list[str]:
    """The items of a tuple in reverse."""
    body = re.fullmatch(r"(\\left)?\((.*?)(\\right)?\)", gold)
    return [f"({', '.join(item.strip() for item in body[2].split(',')[::-1])})"] if body else []


def shuffled_word(gold: str) -> list[str]:
    """The letters of a word in reverse."""
    return [rf"\text{{{words_of(gold)[::-1]}}}"]


CHANGES: dict[str, tuple[tuple[str, ...], Callable[[str], list[str]]]] = {
    "a digit": (tuple(family for family in ALL if family not in ("letter",)), digit_changes),
    "a sign": (
        ("whole", "large", "decimal", "fraction", "root", "expression", "polynomial", "degree"),
        lambda gold: [] if gold == "0" else sign_change(gold),
    ),
    "the order of a tuple": (("tuple",), reversed_tuple),
    "a tuple as a set": (("tuple",), lambda gold: [rf"\{{{gold.strip('()')}\}}"] if gold[0] == "(" else []),
    "another base": (("base",), lambda gold: [re.sub(r"_\{?(\d)\}?", lambda m: f"_{int(m[1]) + 1}", gold)]),
    "an open end": (
        ("interval", "union"),
        lambda gold: [g for a, b in (("[", "("), ("]", ")")) for g in swaps(a, b)(gold)],
    ),
    "a closed end": (
        ("interval", "union"),
        lambda gold: [g for a, b in (("(", "["), (")", "]")) for g in swaps(a, b)(gold)],
    ),
    "a.m. for p.m.": (
        ("time",),
        lambda gold: [
            gold.translate(str.maketrans("ap", "pa", "")) if "text{4" not in gold else gold.replace("p.m", "a.m")
        ],
    ),
    "letters of a word": (("word",), shuffled_word),
    "another letter": (("letter",), lambda gold: [chr(ord(re.sub(r"\\text|[^A-E]", "", gold)) + 1)]),
    "the transposed": (("matrix",), lambda gold: [gold.replace(r"\\", "&")] if "&" not in gold else []),
    "the other relation": (
        ("inequality",),
        lambda gold: (
            [gold.translate(str.maketrans("<>", "><"))]
            if r"\le" not in gold
            else [gold.replace(r"\leq", ">").replace(r"\le", "<")]
        ),
    ),
    "another variable": (("named", "line"), lambda gold: [gold.replace("x", "z").replace("y", "w")]),
    "one item less": (("list", "set"), lambda gold: [re.sub(r",[^,]*?(?=$|\\right|\\\})", "", gold)]),
    "one item more": (("list",), lambda gold: [gold + ", 1013"]),
    "another unit": (("unit",), lambda gold: [gold.replace("cm", "km")] if "cm" in gold else []),
    "millions": (("whole", "large", "decimal"), lambda gold: [] if gold == "0" else [rf"{gold}\text{{ million}}"]),
    "squared in words": (
        ("whole", "large", "decimal"),
        lambda gold: [] if gold == "0" else [rf"{gold}\text{{ squared}}"],
    ),
    "doubled": (VALUES, lambda gold: [] if gold == "0" else [f"2({gold})"]),
}


def all_changes() -> dict[str, list[tuple[str, str]]]:
    """Gold and another answer, by kind."""
    return {
        kind: [(gold, answer) for family in families for gold in GOLDS[family] for answer in change(gold)]
        for kind, (families, change) in CHANGES.items()
    }
