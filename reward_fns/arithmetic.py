r"""Exact value of an expression in whole numbers, + - * / and parentheses, without `eval`.

    tokens = tokenize(r"\frac{96}{8} \times 2 - 1")
    evaluate(tokens)  ->  Fraction(23)

    sum     = product (("+" | "-") product)*
    product = factor (("*" | "/") factor)*
    factor  = "-"* (number | "(" sum ")" | frac "{" sum "}" "{" sum "}")

Powers, `//`, decimals, juxtaposition and unary plus are not in the grammar. Length and nesting are limited, so the time
is bounded; whatever does not fit raises ArithmeticError, division by zero included.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

MAX_CHARS = 1_000
MAX_DEPTH = 50

_TIMES, _DIVIDED, _MINUS = "\N{MULTIPLICATION SIGN}", "\N{DIVISION SIGN}", "\N{MINUS SIGN}"
_DOT, _DOT_OPERATOR = "\N{MIDDLE DOT}", "\N{DOT OPERATOR}"
_TOKEN = re.compile(
    r"\s*(?:([0-9]+)|(\\[a-zA-Z]+|[-+*/()={}" + _TIMES + _DIVIDED + _MINUS + _DOT + _DOT_OPERATOR + "]))"
)
_SPELLINGS = {
    _TIMES: "*", _DOT: "*", _DOT_OPERATOR: "*", r"\times": "*", r"\cdot": "*",
    _DIVIDED: "/", r"\div": "/",
    _MINUS: "-",
    r"\frac": "frac", r"\dfrac": "frac", r"\tfrac": "frac",
    r"\left": "", r"\right": "",
}  # fmt: skip


def tokenize(text: str) -> list[str]:
    """Split `text` into numbers, operators, brackets, "=" and "frac"; raises ArithmeticError on anything else."""
    if len(text) > MAX_CHARS:
        raise ArithmeticError(f"longer than {MAX_CHARS} characters")
    text = text.rstrip()
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise ArithmeticError(f"unexpected character {text[at]!r}")
        number, symbol = match.groups()
        if number is None and symbol.startswith("\\") and symbol not in _SPELLINGS:
            raise ArithmeticError(f"unknown command {symbol}")
        tokens.append(number or _SPELLINGS.get(symbol, symbol))
        at = match.end()
    return [token for token in tokens if token]


def evaluate(tokens: Sequence[str]) -> Fraction:
    """The exact value of the whole token sequence; raises ArithmeticError unless it is one expression."""
    parser = _Parser(tokens)
    value = parser.sum()
    parser.expect("")
    return value


class _Parser:
    """Recursive descent; computes while it reads."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def sum(self) -> Fraction:
        value = self._product()
        while self._next in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def expect(self, token: str) -> None:
        """Take `token`, or the end of the input where it is ""."""
        if self._next != token:
            raise ArithmeticError(f"expected {token or 'the end'!r} but found {self._next or 'the end'!r}")
        self._at += 1

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next
        self._at += 1
        return token

    def _product(self) -> Fraction:
        value = self._factor()
        while self._next in ("*", "/"):
            # Fraction raises ZeroDivisionError, an ArithmeticError, for a zero divisor.
            value = value * self._factor() if self._take() == "*" else value / self._factor()
        return value

    def _factor(self) -> Fraction:
        negative = False
        while self._next == "-":
            self._at += 1
            negative = not negative
        value = self._primary()
        return -value if negative else value

    def _primary(self) -> Fraction:
        token = self._take()
        if token.isdecimal():
            return Fraction(int(token))
        if token == "(":
            return self._bracketed(")")
        if token == "frac":
            self.expect("{")
            numerator = self._bracketed("}")
            self.expect("{")
            return numerator / self._bracketed("}")
        raise ArithmeticError(f"expected a number but found {token or 'the end'!r}")

    def _bracketed(self, closing: str) -> Fraction:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ArithmeticError(f"nested deeper than {MAX_DEPTH}")
        value = self.sum()
        self.expect(closing)
        self._depth -= 1
        return value
