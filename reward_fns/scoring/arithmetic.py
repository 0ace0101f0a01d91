r"""The exact value of an expression of whole numbers, + - * / and brackets, without `eval`.

    tokens = tokenize(r"\frac{96}{8} \times 2 - 1")
    evaluate(tokens)  ->  23

    sum     = product (("+" | "-") product)*
    product = factor (("*" | "/") factor | factor that is in brackets or behind them)*
    factor  = "-"* (number | bracketed | frac part part)
    part    = "{" sum "}" | digit
    bracketed = "(" sum ")" | "[" sum "]" | "{" sum "}"

So `(12)(5)` and `12(5)` are products, read from left to right like written ones; `12 5` is not. Powers, `//`, decimals
and unary plus are not in the grammar. Length and nesting are limited, so the time is bounded; whatever does not fit
raises ArithmeticError, and so does division by zero. Values are whole numbers as long as every division comes out even,
fractions from there on: both are exact, and whole numbers are ten times faster. Text must be as `normalise.normalised`
leaves it.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

MAX_CHARS = 1_000
MAX_DEPTH = 50

_PIECE = re.compile(r"[0-9]+|[^\s\\]|\\[a-zA-Z]+|\\")
_MEANING = {r"\times": "*", r"\cdot": "*", r"\div": "/", r"\frac": "frac"}
_BEHIND_FACTOR = frozenset(["*", "/", "+", "-", ")", "]", "}", ""])
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_END = ""


def tokenize(text: str) -> list[str]:
    """Split `text` into numbers, operators, brackets, "=" and "frac"; `evaluate` refuses anything else.

    Raises ArithmeticError for a text longer than MAX_CHARS.
    """
    if len(text) > MAX_CHARS:
        raise ArithmeticError(f"longer than {MAX_CHARS} characters")
    pieces: list[str] = _PIECE.findall(text)
    if "\\" not in text:
        return pieces  # nothing to translate
    return [_MEANING.get(piece, piece) for piece in pieces]


def evaluate(tokens: Sequence[str]) -> int | Fraction:
    """The exact value of the whole token sequence; raises ArithmeticError unless it is one expression."""
    rest = [_END, *reversed(tokens)]
    value = _sum(rest, 0)
    if rest.pop() != _END or rest:
        raise ArithmeticError("expected the end")
    return value


# These take tokens from the end of `rest`, where the first one is, and compute as they read.


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
        elif operator in ("(", "["):
            rest.append(operator)
            product *= _factor(rest, depth)
        else:
            rest.append(operator)
            return total + product


def _factor(rest: list[str], depth: int) -> int | Fraction:
    token = rest.pop()
    if token.isdecimal() and token.isascii():
        return int(token)
    negative = False
    while token == "-":
        token, negative = rest.pop(), not negative
    if token.isdecimal() and token.isascii():
        value = int(token)
    elif token in _CLOSING:
        value = _bracketed(rest, depth, _CLOSING[token])
        if rest[-1] not in _BEHIND_FACTOR:
            rest.append("*")
    elif token == "frac":
        numerator = _part(rest, depth)
        value = _quotient(numerator, _part(rest, depth))
    else:
        raise ArithmeticError(f"expected a number but found {token or 'the end'!r}")
    return -value if negative else value


def _part(rest: list[str], depth: int) -> int | Fraction:
    """Numerator or denominator: in braces, or a single digit."""
    token = rest.pop()
    if len(token) == 1 and token.isdecimal() and token.isascii():
        return int(token)
    if token != "{":
        raise ArithmeticError(f"expected '{{' but found {token or 'the end'!r}")
    return _bracketed(rest, depth, "}")


def _bracketed(rest: list[str], depth: int, closing: str) -> int | Fraction:
    if depth == MAX_DEPTH:
        raise ArithmeticError(f"nested deeper than {MAX_DEPTH}")
    value = _sum(rest, depth + 1)
    if rest.pop() != closing:
        raise ArithmeticError(f"expected {closing!r}")
    return value


def _quotient(a: int | Fraction, b: int | Fraction) -> int | Fraction:
    if isinstance(a, int) and isinstance(b, int) and b and a % b == 0:
        return a // b
    return Fraction(a) / b  # ZeroDivisionError, an ArithmeticError, where b is zero
