r"""Exact value of an expression in whole numbers, + - * / and parentheses, without `eval`.

    tokens = tokenize(r"\frac{96}{8} \times 2 - 1")
    evaluate(tokens)  ->  23

    sum     = product (("+" | "-") product)*
    product = factor (("*" | "/") factor)*
    factor  = "-"* (number | "(" sum ")" | frac "{" sum "}" "{" sum "}")

Powers, `//`, decimals, juxtaposition and unary plus are not in the grammar. Length and nesting are limited, so the time
is bounded; whatever does not fit raises ArithmeticError, division by zero included. Values are whole numbers as long as
every division comes out even, fractions from there on: both are exact, and whole numbers are ten times faster.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

MAX_CHARS = 1_000
MAX_DEPTH = 50

_PIECE = re.compile(r"[0-9]+|\\[a-zA-Z]+|\S")
_MEANING = {
    "\N{MULTIPLICATION SIGN}": "*", "\N{MIDDLE DOT}": "*", "\N{DOT OPERATOR}": "*", r"\times": "*", r"\cdot": "*",
    "\N{DIVISION SIGN}": "/", r"\div": "/",
    "\N{MINUS SIGN}": "-",
    r"\frac": "frac", r"\dfrac": "frac", r"\tfrac": "frac",
}  # fmt: skip
_SILENT = {r"\left", r"\right"}
_END = ""


def tokenize(text: str) -> list[str]:
    """Split `text` into numbers, operators, brackets, "=" and "frac". What is none of these, `evaluate` refuses.

    Raises ArithmeticError for a text longer than MAX_CHARS.
    """
    if len(text) > MAX_CHARS:
        raise ArithmeticError(f"longer than {MAX_CHARS} characters")
    pieces: list[str] = _PIECE.findall(text)
    if "\\" not in text and text.isascii():
        return pieces  # nothing to translate
    return [_MEANING.get(piece, piece) for piece in pieces if piece not in _SILENT]


def evaluate(tokens: Sequence[str]) -> int | Fraction:
    """The exact value of the whole token sequence; raises ArithmeticError unless it is one expression."""
    rest = [_END, *reversed(tokens)]
    value = _sum(rest, 0)
    _expect(rest, _END)
    return value


# These take tokens from the end of `rest`, where the first one is, and compute while they read.


def _sum(rest: list[str], depth: int) -> int | Fraction:
    total, product = 0, _factor(rest, depth)
    while True:
        operator = rest.pop()
        if operator == "*":
            product *= _factor(rest, depth)
        elif operator == "/":
            product = _quotient(product, _factor(rest, depth))
        elif operator == "+":
            total, product = total + product, _factor(rest, depth)
        elif operator == "-":
            total, product = total + product, -_factor(rest, depth)
        else:
            rest.append(operator)
            return total + product


def _factor(rest: list[str], depth: int) -> int | Fraction:
    token, negative = rest.pop(), False
    while token == "-":
        token, negative = rest.pop(), not negative
    if token.isdecimal() and token.isascii():
        value = int(token)
    elif token == "(":
        value = _bracketed(rest, depth, ")")
    elif token == "frac":
        _expect(rest, "{")
        numerator = _bracketed(rest, depth, "}")
        _expect(rest, "{")
        value = _quotient(numerator, _bracketed(rest, depth, "}"))
    else:
        raise ArithmeticError(f"expected a number but found {token or 'the end'!r}")
    return -value if negative else value


def _bracketed(rest: list[str], depth: int, closing: str) -> int | Fraction:
    if depth == MAX_DEPTH:
        raise ArithmeticError(f"nested deeper than {MAX_DEPTH}")
    value = _sum(rest, depth + 1)
    _expect(rest, closing)
    return value


def _expect(rest: list[str], token: str) -> None:
    if rest[-1] != token:
        raise ArithmeticError(f"expected {token or 'the end'!r} but found {rest[-1] or 'the end'!r}")
    rest.pop()


def _quotient(a: int | Fraction, b: int | Fraction) -> int | Fraction:
    if isinstance(a, int) and isinstance(b, int) and b and a % b == 0:
        return a // b
    return Fraction(a) / b  # ZeroDivisionError, an ArithmeticError, where b is zero
