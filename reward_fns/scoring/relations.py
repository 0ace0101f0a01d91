"""Relations found in a text, as a set: tuples such as (drug, effect, drug), or sentences ("The host 'ZnO' was doped.").

    relations("[(A, effect, B), (B, int, C)]")  ->  the same as relations("(b, int, c); (a, effect, b)")
    relations("[[A, B], [C, D]]")               ->  the same as relations("(a, b), (c, d)")

Order and repetition do not count, nor do letter case, blanks, quotation marks and brackets round the list.
"""

import re

Relations = frozenset[tuple[str, ...]]

_TUPLE = re.compile(r"\(((?:[^()]|\([^()]*\))*)\)")
_LIST_OF_LISTS = re.compile(r"\s*\[\s*\[")
_INNER_LIST = re.compile(r"\[([^\[\]]*)\]")
_BETWEEN_TUPLES = re.compile(r"[\s,;.\[\]\"'`-]*|\s*(?:and|END)\s*")
_END = re.compile(r"[\s.]*\bEND\W*\Z")
_SENTENCE_END = re.compile(r"\.(?:['\"\s\],;]+|\Z)|\"\s*,\s*\"")
_ROUND = "\"'`[]().,; "


def relations(text: str) -> Relations | None:
    """The relations of a normalised text; None where there is none, or where a list of tuples has other text in it."""
    text = _END.sub("", text)
    if _LIST_OF_LISTS.match(text):
        text = _INNER_LIST.sub(r"(\1)", text)
    found = _TUPLE.findall(text)
    tuples = [tuple(_folded(part) for part in inside.split(",")) for inside in found if "," in inside]
    if tuples:
        between = _TUPLE.split(text)[::2]
        return frozenset(tuples) if all(_BETWEEN_TUPLES.fullmatch(piece) for piece in between) else None
    sentences = {(_folded(sentence),) for sentence in _SENTENCE_END.split(text)} - {("",)}
    return frozenset(sentences) or None


def _folded(text: str) -> str:
    return " ".join(re.sub(r"['\"`]", "", text.strip(_ROUND)).casefold().split())
