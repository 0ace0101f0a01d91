r"""Mathematics: an answer in LaTeX that is worth the same as the reference.

    ground_truth "\frac{1}{2}" or {"target": "\frac{1}{2}"}, answer "x = 0.5"  ->  correct

Equal text and whole numbers are settled here; math-verify judges the rest, in a helper process with a limit on its CPU
time. An answer that is a statement where the reference is a value ("1+1=2", "4=3") is wrong, except "x = value".
"""

import re
from typing import Any

from reward_fns.isolation import call
from reward_fns.registry import register
from reward_fns.scoring.truth import read_target

MAX_CHARS = 300
CPU_SECONDS = 2.0

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
_NAMED_VALUE = re.compile(r"\\?[A-Za-z]\w{0,9}(?:\([^()=]{1,20}\))?\s*=\s*([^=]+)")
_IGNORED = re.compile(r"\\[%$!,;]|%|(?<=[0-9])\{,\}(?=[0-9]{3})")
_STATEMENT = re.compile(r"[=<>:]|\\(?:approx|equiv|sim|cong|neq?|leq?|geq?|in|to|rightarrow|implies)(?![a-zA-Z])")


def read_reference(fields: dict[str, Any], **_: Any) -> str:
    """The reference as text; a number is taken too."""
    target = fields.get("target")
    if isinstance(target, (int, float)) and not isinstance(target, bool):
        fields = {"target": str(target)}
    return read_target(fields)


@register("math", "math_train", "test_math", "test_amc", "test_aime", truth=read_reference)
def equals_the_reference(answer: str, reference: str, **_: Any) -> bool:
    """Whether the answer has the value of the reference.

    Raises IsolatedCallError, which counts as wrong, where comparing them takes longer than CPU_SECONDS.
    """
    if len(answer) > MAX_CHARS:
        return False
    answer, reference = _tidied(answer), _tidied(reference)
    if answer == reference:
        return True
    if _WHOLE_NUMBER.fullmatch(answer) and _WHOLE_NUMBER.fullmatch(reference):
        return int(answer) == int(reference)
    answer, reference = _value(answer), _value(reference)
    if not answer or "$" in answer or (_STATEMENT.search(answer) and not _STATEMENT.search(reference)):
        return False
    return call("reward_fns.isolation.run_math_verify:same_value", reference, answer, cpu_seconds=CPU_SECONDS)


def _tidied(text: str) -> str:
    """Without outer dollar signs, percent and currency signs, thin spaces and LaTeX's thousands separators."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "$":
        text = text[1:-1]
    return _IGNORED.sub("", text).strip()


def _value(text: str) -> str:
    match = _NAMED_VALUE.fullmatch(text)
    return match[1].strip() if match else text
