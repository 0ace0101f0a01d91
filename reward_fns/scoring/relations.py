"""Relations found in a text, as a set: tuples such as (drug, effect, drug), or sentences ("The host 'ZnO' was doped.").

    relations("[(A, effect, B), (B, int, C)]")  ->  the same as relations("(b, int, c); (a, effect, b)")
    relations("[[A, B], [C, D]]")               ->  the same as relations("(a, b), (c, d)")

Order and repetition do not count, nor do letter case, blanks, quotation marks and brackets around the list.
"""

import re

Relations = frozenset[tuple[str, ...]]

_TUPLE = re.compile(r"\(((?:[^()]|\([^()]*\))*)\)")
_LIST_OF_LISTS = re.compile(r"\s*\[\s*\[")
_INNER_LIST = re.compile(r"\[([^\[\]]*)\]")
_BETWEEN_TUPLES = re.compile(r"[\s,;.\[\]\"'`-]*|\s*(?:and|END)\s*")
_END = re.compile(r"(?<![\s.])[\s.]*\bEND\W*\Z")
_SENTENCE_END = re.compile(r"\.(?:['\"\s\],;]+|\Z)|\"\s*,\s*\"")
_ROUND = "\"'`[]().,; "


def tuples(text: str) -> list[list[str]] | None:
    """The parts of each tuple of a list, as they are written; [] without any, None where other text is among them."""
    text = _END.sub("", text)
    if _LIST_OF_LISTS.match(text):
        text = _INNER_LIST.sub(r"(\1)", text)
    between, inside = _TUPLE.split(text)[::2], _TUPLE.findall(text)
    found = [[part.strip() for part in one.split(",")] for one in inside if "," in one]
    numbering = all(one.strip().isdecimal() for one in inside if "," not in one)  # as in "(1) (a, b)"
    return found if not found or (numbering and all(map(_BETWEEN_TUPLES.fullmatch, between))) else None


def relations(text: str) -> Relations | None:
    """The relations of a normalised text; None where there is none, or where a list of tuples has other text in it."""
    listed = tuples(text)
    if listed is None:
        return None
    if listed:
        return frozenset(tuple(map(_folded, parts)) for parts in listed)
    sentences = {(_folded(sentence),) for sentence in _SENTENCE_END.split(_END.sub("", text))} - {("",)}
    return frozenset(sentences) or None


def _folded(text: str) -> str:
    return " ".join(re.sub(r"['\"`]", "", text.strip(_ROUND)).casefold().split())
