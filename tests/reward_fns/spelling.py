"""Other ways to spell a gold: functions from a gold to another text, or to None where they do not apply."""

import re
from collections.abc import Callable
from fractions import Fraction

Respelling = Callable[[str], str | None]


def replaced(old: str, new: str) -> Respelling:
    """Old for new, where there is something to replace."""
    return lambda gold: gold.replace(old, new) if old in gold else None


def pattern(old: str, new: str | Callable[[re.Match[str]], str]) -> Respelling:
    """The same by regular expression."""
    return lambda gold: re.sub(old, new, gold) if re.search(old, gold) else None


def around(before: str, after: str) -> Respelling:
    """Something around the whole."""
    return lambda gold: before + gold + after


def chain(*steps: Respelling) -> Respelling:
    """One after the other; None where one does not apply."""

    def apply(gold: str) -> str | None:
        for step in steps:
            respelled = step(gold)
            if respelled is None:
                return None
            gold = respelled
        return gold

    return apply


def grouped(separator: str) -> Respelling:
    """Thousands set apart."""
    return lambda gold: f"{int(gold):,}".replace(",", separator) if re.fullmatch(r"-?[0-9]{4,}", gold) else None


def as_decimal(gold: str) -> str | None:
    """A fraction that ends as a decimal."""
    match = re.fullmatch(r"(-?)\\d?frac\{(\d+)\}\{(\d+)\}", gold)
    value = Fraction(int(match[2]), int(match[3])) if match else None
    return match[1] + str(float(value)) if match and value and 10**6 % value.denominator == 0 else None


def as_repeating_decimal(gold: str) -> str | None:
    """A fraction of ninths or thirds as a decimal that does not end."""
    match = re.fullmatch(r"(-?)\\d?frac\{(\d+)\}\{([39])\}", gold)
    whole, rest = divmod(int(match[2]), int(match[3])) if match else (0, 0)
    return rf"{match[1]}{whole}.\overline{{{rest * 9 // int(match[3])}}}" if match and rest else None


def items(gold: str) -> list[str]:
    """What the commas outside brackets separate."""
    return [item.strip() for item in re.split(r",(?![^({\[]*[)}\]])", gold)]


def joined(separator: str, each: Respelling | None = None, backwards: bool = False) -> Respelling:
    """The items of a list with another separator, each respelled, in order or not."""

    def apply(gold: str) -> str:
        parts = [(each(item) if each else item) or item for item in items(gold)]
        return separator.join(parts[::-1] if backwards else parts)

    return apply


def full_width(gold: str) -> str:
    """Digits of East Asian width."""
    return re.sub("[0-9]", lambda digit: chr(ord(digit[0]) + 0xFEE0), gold)


def without_unit(gold: str) -> str | None:
    """The number alone."""
    return re.sub(r"\s*\\text\{.*$", "", gold) if re.match(r"[^t]*\\text", gold) else None


def sides_swapped(gold: str) -> str:
    """b = a for a = b."""
    left, right = gold.split("=")
    return f"{right.strip()} = {left.strip()}"


def words_of(gold: str) -> str:
    """The text inside `\\text{...}`, or all of it."""
    match = re.fullmatch(r"\\text\{(.*)\}", gold)
    return match[1] if match else gold
