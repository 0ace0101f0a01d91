r"""What runs in the helper process for `reward_fns.maths`: reading both answers and comparing them.

LaTeX is read by latex2sympy, math-verify's reader; its other reader, for plain expressions, goes through sympy's
`parse_expr`, which evaluates Python code. Numbers are compared with 50 digits relative to their size, so 1/1997! is not
1/1999!, and expressions in variables at a few points: that decides in milliseconds what simplifying may take minutes
for. Two expressions that agree at all points to 25 digits are the same, barring a coincidence that no model can look
for. math-verify compares the rest: sets given by a property, and whatever else it can read.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex
from math_verify import verify
from math_verify.grader import should_treat_as_complex
from sympy.core.relational import Relational

from reward_fns.scoring.equality import same
from reward_fns.scoring.notation import Group, Node, Statement, read
from reward_fns.scoring.values import canonical

_READING = NormalizationConfig(units=False, boxed="none", malformed_operators=True)
_MISREAD = re.compile(r"[0-9] [0-9]|[0-9]\s?\\ldots")  # by latex2sympy: 3 4 as 7, 0.3\ldots as 0.3
_DIGITS, _ALIKE = 50, sympy.Float(10) ** -25
_NOTHING = sympy.Float(10) ** -75
"""The most that a sum that is exactly zero may come to when it is computed to `_DIGITS`; no other sum in an answer is
as small."""
_POINTS = ((0.7310585786300049, 1.3), (-1.6180339887498949, 0.7), (2.718281828459045, -1.1), (0.3183098861837907, 1.9))
"""Where expressions are compared: a variable's value is the first number times the second to the power of its place."""


def same_value(reference: str, answer: str) -> bool:
    """Whether the answer is the reference; False for an answer that cannot be read."""
    try:
        return same(_read(reference), _read(answer), _judge)
    except ValueError:
        return False


def is_read(reference: str) -> bool:
    """Whether every part of a reference is read as words, a number or an expression, and not just letter by letter."""
    try:
        return _is_read(_read(reference))
    except ValueError:
        return False


def _is_read(node: Node) -> bool:
    if isinstance(node, Group):
        return all(map(_is_read, node.items))
    if isinstance(node, Statement):
        return all(map(_is_read, node.sides))
    return node.words or bool(node.base) or node.number is not None or _parsed(node.text) is not None


@lru_cache(maxsize=512)  # the rollouts of a group come with the same reference
def _read(text: str) -> Node:
    return read(text)


def _judge(reference: str, answer: str) -> bool:
    left, right = _parsed(reference), _parsed(answer)
    if left is None or right is None or reference.count("'") != answer.count("'"):  # latex2sympy reads f' as f
        return False
    if isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr):
        return _same_expressions(left, right)
    if isinstance(left, sympy.MatrixBase) and isinstance(right, sympy.MatrixBase):
        pairs = zip(left.flat(), right.flat(), strict=False)
        return left.shape == right.shape and all(_same_expressions(*pair) for pair in pairs)
    if isinstance(left, Relational) and isinstance(right, Relational):
        return _same_relations(left, right)
    return type(left) is type(right) and bool(verify(left, right, timeout_seconds=None))


@lru_cache(maxsize=512)
def _parsed(text: str) -> Any:
    """What latex2sympy makes of the text, with decimals as exact fractions; None where it makes nothing of it."""
    text = canonical(text)
    if _MISREAD.search(text):
        return None
    text = normalize_latex(text, _READING)
    try:
        value = latex2sympy(text, is_real=not should_treat_as_complex(text), normalization_config=None)
    except Exception:  # the parser raises all kinds of errors on what is not LaTeX
        return None
    if isinstance(value, (sympy.Basic, sympy.MatrixBase)):
        return value.replace(lambda part: isinstance(part, sympy.Float), lambda part: sympy.Rational(str(part)))
    return value


def _same_expressions(left: Any, right: Any) -> bool:
    if left == right:
        return True
    pairs = [(_number(left, point), _number(right, point)) for point in _points(left, right)]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return bool(known) and all(_close(a, b) for a, b in known)


def _same_relations(left: Any, right: Any) -> bool:
    """Whether they are the same up to a factor on both sides, which must be positive where sides cannot be swapped."""
    if type(left) is not type(right):
        right = right.reversed
    sides = (left.lhs, left.rhs, right.lhs, right.rhs)
    if type(left) is not type(right) or not all(isinstance(side, sympy.Expr) for side in sides):
        return False
    differences = [relation.lhs - relation.rhs for relation in (left, right)]
    either_sign = isinstance(left, (sympy.Eq, sympy.Ne))
    if either_sign:  # y = 4/x is xy = 4
        differences = [sympy.fraction(sympy.together(difference))[0] for difference in differences]
    factors = []
    for point in _points(*differences):
        a, b = (_number(difference, point) for difference in differences)
        if a is not None and b is not None and b != 0:
            factors.append(a / b)
    if not factors or factors[0] == 0 or not all(_close(factor, factors[0]) for factor in factors):
        return False
    return either_sign or bool(factors[0].is_positive)


def _points(*expressions: Any) -> Iterator[dict[Any, Any]]:
    """Values for every variable of the expressions, by its name; one empty choice where there is none."""
    symbols = set().union(*(expression.free_symbols for expression in expressions))
    names = sorted({str(symbol) for symbol in symbols})
    for start, ratio in _POINTS if symbols else _POINTS[:1]:
        values = {name: sympy.Rational(start) * sympy.Rational(ratio) ** place for place, name in enumerate(names)}
        yield {symbol: sympy.I if str(symbol) == "i" else values[str(symbol)] for symbol in symbols}


def _number(expression: Any, point: dict[Any, Any]) -> Any:
    """The value at a point to `_DIGITS`; None where it has none."""
    value = expression.subs(point).doit()
    if value.has(sympy.nan, sympy.zoo):
        return None
    if value.is_Rational or value.has(sympy.oo, -sympy.oo):
        return value
    value = value.evalf(_DIGITS, maxn=200)
    return value if value.is_number else None


def _close(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if (a.is_Rational and b.is_Rational) or a.is_infinite or b.is_infinite:
        return False
    size = max(abs(a), abs(b))
    return bool(abs(a - b) < size * _ALIKE or size < _NOTHING)


for _example in (
    r"\frac{1}{2}",
    r"3\sqrt{5}+x^{2}",
    r"2\pi-i",
    r"(x+1)\cdot y",
    "x=2y",
    r"\sin x",
    "3!",
    r"\log_{2} 7",
    "|x|<3",
):
    _parsed(_example)  # the parser learns its grammar as it reads; a worker forked from here already knows it
