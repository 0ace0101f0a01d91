r"""One value of a mathematical answer: its expression and, separately, its unit or base; or its words.

    read_value(r"12\text{ cm}^2")  ->  Value("12", unit=("cm^2",))
    read_value("43_5")             ->  Value("43", base="5")
    read_value(r"2 \frac{1}{2}")   ->  Value(r"(2+\frac{1}{2})")
    read_value(r"5\text{ million}") ->  Value("5000000")
    read_value(r"0.\overline{3}")   ->  Value(r"\frac{1}{3}")
    read_value("1.5e3")            ->  Value("1500")
    read_value(r"\text{even}")     ->  Value("even", words=True)

A unit may be left out, as in the data sets' own answers, but must not be wrong: two known units must agree. A word that
is part of the number ("million", "dozen", "squared") is no unit.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import dropwhile, pairwise
from math import prod

from reward_fns.scoring.units import SCALES, UNIT_TAIL, canonical_unit, is_known, unit_tokens, words_of

PRINTED_DECIMALS = 12
"""A decimal this long was computed, and stands for the fraction that has this value in double precision."""

_ANGLE_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")

_DEGREES = re.compile(r"([0-9.]+)\s?\^\s?\{?\\circ\}?")

_BASED = re.compile(
    r"\(?(?:\\text\{)?([0-9][0-9A-Za-z ]*|(?<=\{)[A-F]+)[)}]?\s*"
    r"(?:_\s?\{?\s?\(?(?:\\text\{ ?base ?\} ?)?|\\text\{ ?(?:in )?base ?\} ?|(?:in )?base )"
    r"([0-9]+|\\text\{[a-z]+\})[)}]*"
)
_BASE_NAMES = dict(zip(["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "sixteen"],
                       ["2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "16"], strict=True))  # fmt: skip
_ORDINAL = re.compile(r"(?<=[0-9])\s?(?:\^\s?\{?)?(?:\\text\{)?(?:st|nd|rd|th)\}*\Z")
_REPEATING_WORD = re.compile(r"\A([+-]?[0-9]*)\.(?:([0-9])\2*)\s*(?:\\text\{)?\s*(?:repeating|recurring)\s*\}?\Z")
_EXPONENT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]{1,3}")  # e - 5 with blanks is a difference
_FUNCTIONS = "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|gcd|lcm|det|max|min|pi|theta"
_WORDS = re.compile(r"[^\W\d_][\w' .-]*")
_LITERAL = re.compile(r"([+-]?)(?:([0-9]+\.?[0-9]*|\.[0-9]+)(?:/([0-9]+))?|\\frac\{([+-]?[0-9]+)\}\{([0-9]+)\})")

_PART = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+|\\frac\{[+-]?[0-9]+\}\{[0-9]+\})"
_OPERATION = re.compile(
    rf"{_PART}(?:[+-]|(?:\\cdot|\\times|\*)(?!\s?10\^)|\\div)\s?[+-]?{_PART}|[0-9A-Za-z)}}]!"
    r"|\\(?:sum|prod|i*int|oint|lim|d?binom|log|ln|lg|gcd|lcm|max|min|(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?)(?![A-Za-z])"
)
_FRACTION = r"(?:\\frac\{[0-9]+\}\{[0-9]+\}|[0-9]+/[0-9]+)"
_MIXED = re.compile(rf"[+-]?[0-9]+\+{_FRACTION}")
_IN_BRACKETS = re.compile(rf"\((?:([+-]?[0-9.]+)|[0-9]+\+{_FRACTION})\)")  # a number alone, and a mixed one


@dataclass(frozen=True)
class Value:
    """An expression in LaTeX without needless spaces; `unit` is None where it is not one of the known units."""

    text: str
    unit: tuple[str, ...] | None = ()
    base: str = ""
    words: bool = False

    @property
    def number(self) -> Fraction | None:
        """The exact value where the expression is a whole number, a decimal or a fraction of these."""
        match = _LITERAL.fullmatch(self.text)
        if not match:
            return None
        sign, decimal, divisor, numerator, denominator = match.groups()
        if not int(divisor or denominator or 1):
            return None
        value = Fraction(decimal) / int(divisor or 1) if decimal else Fraction(int(numerator), int(denominator))
        return -value if sign == "-" else value


def read_value(text: str) -> Value:
    """One value; text that is not an expression becomes words, in lower case."""
    text = _REPEATING_WORD.sub(r"\1.\\overline{\2}", _ORDINAL.sub("", text))
    based = _BASED.fullmatch(text)
    if based and not based[1].isalpha():
        base = based[2].removeprefix(r"\text{").removesuffix("}")
        return Value(re.sub(r"\s", "", based[1]).upper().lstrip("0"), base=_BASE_NAMES.get(base, base))
    if _is_words(text):
        return Value(_plain_words(text).casefold(), words=True)
    value, unit = _without_unit(text)
    return Value(_plain_number(value) or canonical(value), unit)


def same_number(first: Value, second: Value) -> bool:
    """Whether two values with a `number` are equal: exactly, or a fraction and its decimal as a computer prints it."""
    if first.number == second.number or first.number is None or second.number is None:
        return first.number == second.number
    decimals = [len(value.text.partition(".")[2]) for value in (first, second)]
    printed = min(decimals) == 0 and max(decimals) >= PRINTED_DECIMALS
    printed = printed and all(1e-300 < abs(value.number or 0) < 1e300 for value in (first, second))
    return printed and float(first.number) == float(second.number)


def unevaluated(value: Value) -> bool:
    r"""Whether the value is how to compute a number: `17\cdot 23`, `5!`, `\sum`; not `1.5\times 10^3`, nor `3+1/2`."""
    if _MIXED.fullmatch(value.text):
        return False
    return _OPERATION.search(_IN_BRACKETS.sub(r"\1", value.text)) is not None


def units_agree(first: Value, second: Value) -> bool:
    """Whether two values can have the same unit: not where both have one, both are known, and they differ."""
    return not (first.unit and second.unit) or first.unit == second.unit


def _is_words(text: str) -> bool:
    """Two letters or more that are not a product of variables (letters in alphabetical order, once each)."""
    plain = _plain_words(text)
    if not _WORDS.fullmatch(plain) or not re.search(r"[^\W\d_]{2}", plain):
        return False
    if re.fullmatch(rf"(?:{_FUNCTIONS}|inf|infinity)\b.*", plain):
        return False
    product = len(plain) <= 3 and plain.isalpha() and all(a < b for a, b in pairwise(plain))
    return not product or r"\text" in text


def _plain_words(text: str) -> str:
    return " ".join(re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).split()).rstrip(".")


def _without_unit(text: str) -> tuple[str, tuple[str, ...] | None]:
    tail = UNIT_TAIL.search(text)
    value = text[: tail.start()].strip() if tail else ""
    if not tail or not value or value[-1] in "+-=/^_({" or _ANGLE_FUNCTION.search(value):
        return text, ()
    tokens = unit_tokens(tail[0])
    if tokens is None:
        return text, ()
    if tokens[0] in SCALES:
        return _scaled(value, tokens)
    bare, words = r"\text" not in tail[0], words_of(tokens)
    known = is_known(words)
    if bare and not known and not (value[-1].isdigit() and all(len(word) >= 3 or not word.isascii() for word in words)):
        return text, ()
    if bare and words and all(len(word) == 1 for word in words):
        return text, ()  # 5m is a product
    return value, canonical_unit(tokens) if known else None


def _plain_number(text: str) -> str | None:
    """A number with an exponent, written out; None for any other text."""
    return format(Decimal(text), "f") if _EXPONENT.fullmatch(text) else None


def _scaled(value: str, tokens: list[str]) -> tuple[str, tuple[str, ...] | None]:
    """The value times the words that begin its unit, and the rest of the unit."""
    rest = list(dropwhile(SCALES.__contains__, tokens))
    scale = prod((SCALES[token] for token in tokens[: len(tokens) - len(rest)]), start=Fraction(1))
    number = Value(_plain_number(value) or canonical(value)).number
    factor = rf"\frac{{{scale.numerator}}}{{{scale.denominator}}}"
    text = rf"({value})\cdot{factor}" if number is None else str(number * scale)
    try:
        return text, canonical_unit(rest)
    except KeyError:
        return text, None


_REWRITES = [
    (re.compile(r"\\text\{\s*([^{}]*?)\s*\}"), r"\1"),
    (re.compile(r"\\dot\s?\{?([0-9])\}?(?:([0-9]{0,99})\\dot\s?\{?([0-9])\}?)?"), r"\\overline{\1\2\3}"),
    (re.compile(r"(\A[+-]?[0-9]{0,99}\.[0-9]{0,99})\(([0-9]{1,99})\)\Z"), r"\1\\overline{\2}"),
    (
        re.compile(
            r"(?<![0-9.])([0-9]{0,99})\.([0-9]{0,99})\\(?:overline|bar)\s?"
            r"(?:\{\s?([0-9]{1,99})\s?\}|([0-9]))(?!\s?[\^_0-9])"
        ),
        lambda match: _repeating(match),
    ),
    (re.compile(r"(?<=[0-9])\{,\}(?=[0-9]{3})"), ""),
    (re.compile(r"(?<![0-9.,])([0-9]{1,3})((?:[ ,][0-9]{3})+)(?![0-9])"), lambda m: m[1] + re.sub("[ ,]", "", m[2])),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\*"), r"\\cdot "),
    (re.compile(r"(?<![A-Za-z\\])(infinity|infty|inf)(?![A-Za-z])"), r"\\infty "),
    (re.compile(rf"(?<![A-Za-z\\])({_FUNCTIONS})(?![A-Za-z])"), r"\\\1 "),
    (re.compile(r"\\exp\s*(?=[({])"), "e^"),
    (re.compile(r"\\log\s?_\s?([0-9A-Za-z])"), r"\\log_{\1}"),
    (re.compile(r"(\^|\\sqrt)\s*(-?[0-9]+|\\?[A-Za-z]+(?![A-Za-z]))(?![A-Za-z{])"), lambda m: _braced(m)),
    (re.compile(r"\\frac\s*([0-9A-Za-z])\s*([0-9A-Za-z])"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*([0-9A-Za-z])\s*(?=\{)"), r"\\frac{\1}"),
    (re.compile(r"(\\frac\s*\{[^{}]*\})\s*([0-9A-Za-z])"), r"\1{\2}"),
    (re.compile(r"(?<![0-9.])([0-9]+)\s*(\\frac\s*\{[0-9]+\}\s*\{[0-9]+\})(?![\^!])"), r"(\1+\2)"),
    (re.compile(r"(?<![0-9./])([0-9]+) ([0-9]+/[0-9]+)(?![0-9./])"), r"(\1+\2)"),
    (re.compile(r"(?<![_A-Za-z0-9.{])([0-9.]+)\s*\("), r"\1\\cdot("),  # latex2sympy reads 2(25) as 27
    (re.compile(r"\)\s*(?=[(0-9])"), r")\\cdot "),
    (re.compile(r"\\vec\s?([A-Za-z])"), r"\\vec{\1}"),
    (re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])"), ""),
    (re.compile(r"\A\+"), ""),
]


def canonical(text: str) -> str:
    """An expression as unambiguous LaTeX: `sqrt(2)` is `\\sqrt{2}`, `x**10` is `x^{10}`, `3,000` is `3000`."""
    if _ANGLE_FUNCTION.search(text):
        text = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return _braces_for_brackets(text)


def _repeating(match: re.Match[str]) -> str:
    """A decimal whose last digits repeat, as a fraction."""
    whole, fixed, several, one = match.groups(default="")
    period = several or one
    value = int(whole + fixed + period) - int(whole + fixed or 0)
    return rf"\frac{{{value}}}{{{10 ** len(fixed) * (10 ** len(period) - 1)}}}"


def _braced(match: re.Match[str]) -> str:
    command, argument = match.groups()
    if command == "\\sqrt" and argument[0] == "-":
        return match[0]
    if command != "\\sqrt" and argument[0] not in "-0123456789":
        return match[0]
    return f"{command}{{{argument}}}"


def _braces_for_brackets(text: str) -> str:
    """`\\sqrt(x)` as `\\sqrt{(x)}`, and `2^(1/2)` as `2^{(1/2)}`."""
    for opening in (r"\sqrt(", "^("):
        at = text.find(opening)
        while at >= 0:
            begin = at + len(opening) - 1
            level = 0
            for end in range(begin, len(text)):
                level += {"(": 1, ")": -1}.get(text[end], 0)
                if level == 0:
                    text = f"{text[:begin]}{{{text[begin : end + 1]}}}{text[end + 1 :]}"
                    break
            at = text.find(opening, begin + 1)
    return text
