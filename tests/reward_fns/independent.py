"""The same rules, written another way, for tests to compare with: regular expressions and Python's own parser.

Shares no code with `reward_fns`. Slow and unsafe on hostile text, which does not matter here.
"""

import ast
import re
from fractions import Fraction


def final_answer(text: str) -> str | None:
    """By reading the text backwards: the last opening that is really one, then the shortest balanced piece."""
    for mark in ("Assistant:", "<|im_start|>assistant"):
        if mark in text:
            text = text.split(mark, 1)[1]
            break
    openings = [(m.start(), m.end(), m[0]) for m in re.finditer(r"\\boxed\s{0,8}\{|<answer>", text)]
    if not openings:
        return None
    _, begin, opening = max(openings)
    tail = text[begin:]
    if opening == "<answer>":
        inner, closed, _ = tail.partition("</answer>")
        return (inner.strip() or None) if closed else None
    plain = re.sub(r"\\.", lambda m: "__", tail, flags=re.DOTALL)
    for end in (i for i, char in enumerate(plain) if char == "}"):
        if plain[:end].count("{") == plain[:end].count("}"):
            return tail[:end].strip() or None
    return None


def countdown_value(answer: str, numbers: list[int]) -> Fraction | None:
    """The value of a countdown answer, by Python's parser, or None where it breaks a rule."""
    for pattern, replacement in [
        (r"\\left(?![a-zA-Z])|\\right(?![a-zA-Z])", " "),
        (r"\\(times|cdot)(?![a-zA-Z])|[\u00d7\u00b7\u22c5]", " * "),
        (r"\\div(?![a-zA-Z])|\u00f7", " / "),
        (r"\u2212", "-"),
    ]:
        answer = re.sub(pattern, replacement, answer)
    frac = re.compile(r"\\[dt]?frac\s*\{([^{}\\]*)\}\s*\{([^{}\\]*)\}")
    while frac.search(answer):
        answer = frac.sub(r"((\1)/(\2))", answer)
    answer = re.sub(r"\s+", " ", answer).strip()
    left, equals, right = answer.partition("=")
    if re.search(r"[^0-9+\-*/() ]", left) or re.search(r"\*\s*\*|/\s*/", left):
        return None
    runs = re.findall(r"[0-9]+", left)
    if sorted(runs) != sorted(map(str, numbers)):
        return None
    try:
        value = _value(ast.parse(left.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, ValueError, TypeError):
        return None
    if equals and not (re.fullmatch(r" ?(- ?)?(0|[1-9][0-9]*) ?", right) and value == int(right.replace(" ", ""))):
        return None
    return value


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() as value):
            return Fraction(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left), _value(right)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
    raise ValueError(ast.dump(node))
