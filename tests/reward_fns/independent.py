"""The same rules, written another way, for tests to compare with: regular expressions and Python's own parser.

Shares no code with `reward_fns`, except for the stand-in for the helper process. Slow on hostile text, which does not
matter here.
"""

import ast
import contextlib
import json
import re
from fractions import Fraction
from typing import Any

from reward_fns.scoring.equality import same
from reward_fns.scoring.notation import read

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
    ("sciknoweval-chemistry", {"target": "2H2 + O2 = 2H2O", "type": "filling"}),
    ("sciknoweval-biology", {"target": "(a, effect, b), (b, int, c)", "type": "relation_extraction"}),
    ("rg:countdown-train", {"target": "4", "entry": _ENTRY}),
    ("rg:n_queens-train", {"target": "4", "entry": _ENTRY}),
]
"""At least one row of every task."""

_HARMLESS_WORD = re.compile(r"a?(sin|cos|tan)h?|sec|csc|cot|exp|log|ln|sqrt|pi|Abs|Integral|[A-Za-z]")


def helper(function: str, *arguments: Any, cpu_seconds: float) -> Any:
    """In place of `reward_fns.isolation.call`: finds nothing equal, and gives nothing full marks.

    What would be evaluated as an expression must hold no quotes, no attributes and only harmless names.
    """
    sent = json.loads(json.dumps(arguments))
    for text in sent[-1] if function == "reward_fns.isolation.run_reasoning_gym:best_score" else ():
        if sent[0] == "countdown":
            words = re.findall(r"[^\W\d]+", text)
            assert all(_HARMLESS_WORD.fullmatch(word) for word in words), sent
            assert not re.search(r"""['"\[\]{}_;:@#%&|]|\.\s*[^\W\d]""", text), sent
        if sent[0] == "n_queens":
            assert not re.search(r"[(){};:=@*/]", text), sent
    if function.startswith("reward_fns.isolation.run_math_verify:"):
        for text in sent:  # what the helper does first, and it must take any text
            with contextlib.suppress(ValueError):
                same(read(text), read(text), lambda left, right: False)
        return False
    return 0.5


def may_be_right(row: tuple[str, dict[str, Any]], answer: str) -> bool:
    """What every right answer to one of `ROWS` fulfils, where `helper` judges what leaves the process."""
    data_source, truth = row
    plain = answer.translate(_SIGNS)
    bare = re.sub(r"\\[A-Za-z]+|```[A-Za-z]*\s|[^\w.+-]|_", "", plain).casefold().strip(".:")
    match data_source.split("-")[0], truth.get("type"):
        case "countdown", _:
            return countdown_reading(answer, NUMBERS) == TARGET
        case "zebra", _:
            return bare == "carol"
        case "arc", _:
            return re.sub(r"\\[a-z]+|[^0-9A-Za-z]", "", plain) == "009" and not re.search("[0-9][0-9]", plain)
        case "math_train", _:
            digits = re.sub(r"[^0-9]", "", plain).strip("0")
            parts = re.search(r"halves|ths|\\(overline|bar)|[0-9.][eE][+-]?[0-9]", plain)
            return bool(parts) or "\u00bd" in answer or digits in ("12", "5", "24") or bool(_RATIO.fullmatch(bare))
        case "sciknoweval", "mcq-4-choices":
            return re.sub(r"^[^A-Za-z]*", "", re.sub(r"\\[A-Za-z]+", "", plain))[:1] in ("b", "B")
        case "sciknoweval", "true_or_false":
            return bare in ("true", "t", "yes")
        case "sciknoweval", "filling" if "=" in truth["target"]:
            return sorted(re.findall("[A-Z]", plain)) == ["H", "H", "O", "O"]
        case "sciknoweval", "relation_extraction":
            return "effect" in bare and "int" in bare
        case "sciknoweval", "filling":
            return re.search("15|1[.]5", bare) is not None
        case "sciknoweval", None:
            return bare.replace(".", "") in ("nacl", "tablesalt", "1nacl") or bare.startswith("nacl")
    return False


_RATIO = re.compile("[0-9]+/[0-9]+")
_SIGNS = str.maketrans(
    {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | {ord(quote): '"' for quote in "\u201c\u201d\u2018\u2019"}
)
_TURN = re.compile(
    r"\n[ \t*#]*(User|Human)[ *]*:|\nuser(?=\n)"
    r"|<\|(im_start\|>user|user\|>|start_header_id\|>user|endoftext\|>)|\[INST\]"
)
_PROMPT = re.compile(
    r"User:|Human:|(?m:^)(user|system)(?=\n)|<\|(im_start\|>(user|system)|user\|>|start_header_id\|>user)|\[INST\]"
)
_REPLY = re.compile(
    r"Assistant:|\nassistant\n|<\|(im_start\|>assistant|assistant\|>|start_header_id\|>assistant)|\[/INST\]"
)
_TOOL = re.compile(r"(<\|im_start\|>(user|tool)\s*|^(user|tool)\s*)?<tool_response>|</tool_response>", re.MULTILINE)
_OPENING = re.compile(r"\\boxed|<answer>|<Answer>|<ANSWER>")


def own_turn(text: str) -> str:
    """Without tools, prompt and later turns."""
    own, inside, begin = [], False, 0
    for tag in _TOOL.finditer(text):
        if tag[0] == "</tool_response>":
            inside, begin = False, tag.end()
        elif not inside:
            own.append(text[begin : tag.start()])
            inside = True
    text = " ".join(own if inside else [*own, text[begin:]])
    begins = [m.start() for m in _OPENING.finditer(text)] or [len(text)]
    asked = _PROMPT.search(text[: begins[0]])
    replies = [m.end() for m in _REPLY.finditer(text) if asked and m.start() >= asked.end()]
    if replies:
        text = text[replies[0] :]
        begins = [m.start() for m in _OPENING.finditer(text)] or [len(text)]
    ends = [m.start() - 1 for m in _TURN.finditer("\n" + text) if m.start() - 1 >= begins[0] or not m.start()]
    ends = [end for end in ends if end >= begins[0]]
    return text[: ends[0]] if ends else text


def final_answer(text: str) -> str | None:
    """By reading the text backwards: the last opening that is really one, then the shortest balanced piece."""
    text = own_turn(text)
    openings = [
        (m.start(), m.end(), m[0])
        for m in re.finditer(r"\\boxed\s{0,8}(\{|(?=-?[0-9]))|<(answer|Answer|ANSWER)>", text)
    ]
    if not openings:
        return None
    _, begin, opening = max(openings)
    tail = text[begin:]
    if opening[0] == "<":
        inner, *closed = re.split("</answer>", tail, maxsplit=1, flags=re.IGNORECASE)
        return (inner.strip() or None) if closed else None
    if opening[-1] != "{":
        return re.findall(r"\A-?[0-9][0-9.,/]*", tail)[0]
    plain = re.sub(r"\\.", lambda m: "__", tail, flags=re.DOTALL)
    for end in (i for i, char in enumerate(plain) if char == "}"):
        if plain[:end].count("{") == plain[:end].count("}"):
            return tail[:end].strip() or None
    return None


def countdown_value(answer: str, numbers: list[int]) -> Fraction | None:
    """The value of a countdown answer in plain notation, by Python's parser, or None where it breaks a rule."""
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
    return _computed(re.sub(r"\s+", " ", answer).strip(), numbers)


def countdown_reading(answer: str, numbers: list[int]) -> Fraction | None:
    """The same for more lenient notation: markup dropped, all brackets made round, products without a sign."""
    answer = re.sub(
        r"\\(left|right)(?![A-Za-z])\s*\.?|\\(times|cdot|div)(?![A-Za-z])",
        lambda m: {"times": "*", "cdot": "*", "div": "/"}.get(m[2], " "),
        answer.translate(_SIGNS).replace("\\\\", "\\"),
    )
    fraction = re.compile(r"\\[dt]?frac\s*([0-9]|\{[^{}\\]*\})\s*([0-9]|\{[^{}\\]*\})")
    while fraction.search(answer):
        answer = fraction.sub(lambda m: f"(({m[1].strip('{}')})/({m[2].strip('{}')}))", answer)
    for pattern, replacement in [
        (r"\A\s*```[A-Za-z]*\s|[$~`\"']|\\!|\\/|\\[,;:> ()\[\]]|\*\*|__", " "),
        (r"[\u00d7\u00b7\u22c5]|\\(times|cdot|ast)(?![A-Za-z])", "*"),
        (r"\u00f7|\\div(?![A-Za-z])|[\u2044\u2215]", "/"),
        (r"[\u2212\u2013\u2014]", "-"),
        (r"\\[A-Za-z]+\.?", " "),
        (r"[\[{]", "("),
        (r"[\]}]", ")"),
        (r"\)\s*(?=[0-9(])", ")*"),
        (r"(?<=[0-9])\s*\(", "*("),
        (r"\s*[.,;:]\s*\Z", ""),
    ]:
        answer = re.sub(pattern, replacement, answer)
    return _computed(re.sub(r"\s+", " ", answer).strip("* _"), numbers)


def _computed(answer: str, numbers: list[int]) -> Fraction | None:
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
