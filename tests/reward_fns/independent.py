"""The same rules, written another way, for tests to compare with: regular expressions and Python's own parser.

Shares no code with `reward_fns`. Slow on hostile text, which does not matter here.
"""

import ast
import json
import re
from fractions import Fraction
from typing import Any

NUMBERS, TARGET = [3, 8, 8, 12], 24
_ENTRY = json.dumps({"question": "?", "answer": "4"})
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("countdown-mini-train", {"numbers": "3,8,8,12", "target": TARGET}),
    ("zebra-mini-train", {"target": "carol"}),
    ("arc-mini-train", {"target": "0 0 9"}),
    ("math_train", {"target": r"\frac{1}{2}"}),
    ("sciknoweval-biology", {"target": "B", "type": "mcq-4-choices"}),
    ("sciknoweval-biology", {"target": "True", "type": "true_or_false"}),
    ("sciknoweval-biology", {"target": "1.5", "type": "filling"}),
    ("sciknoweval-biology", {"target": ["NaCl", "table salt"]}),
    ("rg:countdown-train", {"target": "4", "entry": _ENTRY}),
    ("rg:n_queens-train", {"target": "4", "entry": _ENTRY}),
]
"""A row or more of every task."""

_HARMLESS_WORD = re.compile(r"a?(sin|cos|tan)h?|sec|csc|cot|exp|log|ln|sqrt|pi|Abs|Integral|[A-Za-z]")


def helper(function: str, *arguments: Any, cpu_seconds: float) -> Any:
    """In place of `reward_fns.isolation.call`: finds nothing equal, and nothing of full marks.

    What would be evaluated as an expression must hold no quotes, no attribute and no name but the harmless ones.
    """
    sent = json.loads(json.dumps(arguments))
    if function == "reward_fns.isolation.run_reasoning_gym:score" and sent[0] == "countdown":
        words = re.findall(r"[^\W\d]+", sent[-1])
        assert all(_HARMLESS_WORD.fullmatch(word) for word in words), sent
        assert not re.search(r"""['"\[\]{}_;:@#%&|]|\.\s*[^\W\d]""", sent[-1]), sent
    if function == "reward_fns.isolation.run_reasoning_gym:score" and sent[0] == "n_queens":
        assert not re.search(r"[(){};:=@*/]", sent[-1]), sent
    return False if function.startswith("reward_fns.isolation.run_math_verify:") else 0.5


def may_be_right(row: tuple[str, dict[str, Any]], answer: str) -> bool:
    """Whether `answer` can be right for one of `ROWS`, where `helper` judges what leaves the process.

    Exact for countdown, zebra and arc; what every right answer fulfils for the other tasks.
    """
    data_source, truth = row
    bare = re.sub(r"\\[a-z]+|[\s{}$]", "", answer).casefold().rstrip(".")
    match data_source.split("-")[0], truth.get("type"):
        case "countdown", _:
            return countdown_value(answer, NUMBERS) == TARGET
        case "zebra", _:
            return answer.lower() == "carol"
        case "arc", _:
            return answer == "0 0 9"
        case "math_train", _:
            return re.sub(r"[^0-9A-Za-z{}]", "", answer) == "frac{1}{2}"
        case "sciknoweval", "mcq-4-choices":
            return bare.strip("().:") == "b"
        case "sciknoweval", "true_or_false":
            return bare in ("true", "t", "yes")
        case "sciknoweval", "filling":
            return re.fullmatch(r"[-+.0-9e]+", bare) is not None and float(bare) == 1.5
        case "sciknoweval", None:
            return bare in ("nacl", "tablesalt")
    return False


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
