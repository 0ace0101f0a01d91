r"""What a mathematical answer is made of: lists, tuples, intervals, sets, matrices, statements and values.

    read(r"x = 1 \text{ or } x = 2")  ->  a list of two statements
    read(r"(-\infty, 2] \cup (3, 5)")  ->  a union of two tuples, with their brackets
    read(r"12 \text{ cm}")             ->  the value "12" with the unit "cm"

Only the outer structure is read here; `reward_fns.isolation.run_math_verify` works out what a value is worth. Text must
be as `normalise.normalised` leaves it.
"""

import re
from dataclasses import dataclass, field

from reward_fns.scoring.values import Value, read_value

MAX_DEPTH = 12

_TOKEN = re.compile(
    r"\\begin\s?\{(?P<begin>[A-Za-z]+\*?)\}(?:\s?\{[clr|]*\})?|\\end\s?\{(?P<end>[A-Za-z]+\*?)\}"
    r"|\\\\|\\[{}]|\\text\{[^{}]*\}|\\[A-Za-z]+|<=|>=|!=|[()\[\]{}]|\b(?:and|or)\b|\\.|."
)
_OPENING = {"(", "[", "{", r"\{", r"\langle"}
_CLOSING = {")", "]", "}", r"\}", r"\rangle"}
_SEPARATORS = {",", ";", "and", "or", r"\text{and}", r"\text{or}", r"\\"}
_RELATIONS = {
    "=": "=", "<": "<", ">": ">", r"\le": "<=", r"\ge": ">=", "<=": "<=", ">=": ">=", r"\in": "in", r"\ne": "!=",
    "!=": "!=", r"\approx": "~", r"\equiv": "mod", r"\to": "to", r"\sim": "~", r"\cong": "~", r"\subset": "sub",
    r"\iff": "iff", r"\implies": "implies", r"\leftrightarrow": "iff",
}  # fmt: skip
_MATRICES = {"matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array"}
_LINES = {"aligned", "align", "align*", "gathered", "cases", "split"}


@dataclass(frozen=True)
class Group:
    """Several parts: kind "list" and "union" in any order, "set", "ratio", "matrix 2x3" or a pair of brackets."""

    kind: str
    items: "tuple[Node, ...]"


@dataclass(frozen=True)
class Statement:
    """Sides with a relation between each two of them: `2 \\le x < 5` has three sides. `text` is the whole."""

    sides: "tuple[Node, ...]"
    relations: tuple[str, ...]
    text: str = field(compare=False)


Node = Group | Statement | Value


def read(text: str, depth: int = 0) -> Node:
    """The structure of a text; ValueError for one with a blank part, or nested deeper than MAX_DEPTH."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    text = text.strip()
    pieces = _split(text, _SEPARATORS)[0]
    if depth == 0:
        pieces = _with_thousands(pieces)
    if len(pieces) == 1:
        return _read_one(pieces[0].strip(), depth)
    pieces = [piece for piece in pieces if piece.strip()]  # "1, 2, and 3" has a blank one
    return Group("list", tuple(read(piece, depth + 1) for piece in pieces))


def _read_one(text: str, depth: int) -> Node:
    """A text without a separator outside its brackets."""
    if not text:
        raise ValueError("a part is blank")
    sides, relations = _split(text, set(_RELATIONS))
    if relations:
        nodes = tuple(read(side, depth + 1) for side in sides)
        return Statement(nodes, tuple(_RELATIONS[relation] for relation in relations), text)
    parts = _split(text, {r"\cup"})[0]
    if len(parts) > 1:
        return Group("union", tuple(read(part, depth + 1) for part in parts))
    grouped = _read_grid(text, depth) or _read_brackets(text, depth)
    if grouped:
        return grouped
    if text.count(r"\pm") == 1 and r"\mp" not in text:
        both = [text.replace(r"\pm", sign).removeprefix("+").strip() for sign in "+-"]
        return Group("list", tuple(read(one, depth + 1) for one in both))
    parts = _split(text, {":"})[0]
    if len(parts) > 1:
        return Group("ratio", tuple(read(part, depth + 1) for part in parts))
    return read_value(text)


def _read_brackets(text: str, depth: int) -> Node | None:
    """A text that is one pair of brackets, from the first sign to the last."""
    tokens = _levels(text)
    opening, closing = tokens[0][0], tokens[-1][0]
    if opening not in _OPENING or closing not in _CLOSING or any(level == 0 for _, _, level in tokens[1:-1]):
        return None
    inner = text[len(opening) : -len(closing)].strip()
    if not inner:
        return None
    pieces = _split(inner, {",", ";"})[0]
    if opening == r"\{":
        if r"\mid" in inner or "|" in inner or ":" in inner:
            return None  # a set by its property
        return Group("set", tuple(read(piece, depth + 1) for piece in pieces))
    if len(pieces) == 1:
        return read(inner, depth + 1) if opening in ("(", "{", "[") else None
    kind = {r"\langle": "(", "{": "("}.get(opening, opening) + {r"\rangle": ")", "}": ")"}.get(closing, closing)
    return Group(kind, tuple(read(piece, depth + 1) for piece in pieces))


def _read_grid(text: str, depth: int) -> Node | None:
    r"""A matrix, in brackets of its own or as an `array` in others, or lines below each other."""
    whole = re.fullmatch(
        r"(?P<open>[(\[]?)\s*\\begin\s?\{([A-Za-z*]+)\}(?:\s?\{[clr| ]*\})?(.*)\\end\s?\{\2\}\s*[)\]]?", text
    )
    if not whole or r"\begin" in whole[3]:
        return None
    lines = [line.strip() for line in whole[3].split(r"\\")]
    if lines and not lines[-1]:
        lines.pop()
    if whole[2] in _LINES:
        return Group("list", tuple(read(line.replace("&", " "), depth + 1) for line in lines))
    if whole[2] not in _MATRICES:
        return None
    rows = [[read(cell, depth + 1) for cell in line.split("&")] for line in lines]
    if len({len(row) for row in rows}) != 1:
        raise ValueError("the rows of a matrix differ in length")
    return Group(f"matrix {len(rows)}x{len(rows[0])}", tuple(cell for row in rows for cell in row))


def _split(text: str, separators: set[str]) -> tuple[list[str], list[str]]:
    """The pieces between the separators outside all brackets, and the separators."""
    if not any(map(text.__contains__, separators)):
        return [text], []  # without a look at every token: most texts and separators
    pieces, found, begin = [], [], 0
    for token, at, level in _levels(text):
        name = re.sub(r"\s", "", token) if token.startswith(r"\text") else token
        if level == 0 and name in separators:
            pieces.append(text[begin:at])
            found.append(name)
            begin = at + len(token)
    return [*pieces, text[begin:]], found


def _levels(text: str) -> list[tuple[str, int, int]]:
    """Every token with its place and how many brackets are open around it; a bracket counts as outside itself."""
    tokens, level = [], 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _CLOSING or match["end"]:
            level = max(level - 1, 0)
        tokens.append((token, match.start(), level))
        if token in _OPENING or match["begin"]:
            level += 1
    return tokens


def _with_thousands(pieces: list[str]) -> list[str]:
    """Pieces split at the commas of `12,500` joined again."""
    joined = pieces[:1]
    for piece in pieces[1:]:
        if re.search(r"(?<![0-9.])[0-9]{1,3}(?:,[0-9]{3})*$", joined[-1]) and re.match(r"[0-9]{3}(?![0-9])", piece):
            joined[-1] += "," + piece
        else:
            joined.append(piece)
    return joined
