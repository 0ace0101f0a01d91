r"""SciKnowEval: multiple choice, true or false, and short answers.

    ground_truth {"target": "B", "type": "mcq-4-choices"}, answer "(b)"  ->  correct

`type` is the data set's own field. Without it a target that is one capital letter is a choice and true or false is a
judgement. A choice is the letter alone, with or without brackets and full stop: "B. Methane" and "A or B" are wrong.
Short answers are compared without regard to case, spacing and a final full stop; numbers by their value. `target` may
be a list of right answers. Open questions need a judge and are refused.
"""

import re
from decimal import Decimal
from typing import Any, NamedTuple

from reward_fns.registry import register
from reward_fns.scoring.truth import read_target

_WRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|rm)\s?\{([^{}]*)\}")
_CHOICE = re.compile(r"\(?([A-Za-z])[).:]?")
_JUDGEMENTS = {"true": True, "t": True, "yes": True, "false": False, "f": False, "no": False}
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,50}(?:\.[0-9]{0,50})?|\.[0-9]{1,50})(?:[eE][+-]?[0-9]{1,3})?")
_SHORT_TYPES = ("short", "filling", "relation_extraction")


class Truth(NamedTuple):
    """The kind, one of "choice", "judgement" and "short", and the answers that are right, in canonical form."""

    kind: str
    accepted: tuple[Any, ...]


def read_answers(fields: dict[str, Any], **_: Any) -> Truth:
    """Raises ValueError for a type that cannot be judged by rule and for a target that does not fit its type."""
    target = fields.get("target")
    if isinstance(target, (bool, int, float)):
        target = str(target)
    targets = [read_target({"target": item}) for item in (target if isinstance(target, list) else [target])]
    kind = _kind(fields.get("type"), targets)
    accepted = tuple(_canonical(kind, text) for text in targets)
    if not accepted or None in accepted:
        raise ValueError(f"the field 'target' does not fit a {kind} question")
    return Truth(kind, accepted)


@register("sciknoweval", truth=read_answers)
def is_accepted(answer: str, truth: Truth, **_: Any) -> bool:
    """Whether the answer in canonical form is one of the accepted ones."""
    value = _canonical(truth.kind, answer)
    return value is not None and value in truth.accepted


def _kind(question_type: Any, targets: list[str]) -> str:
    if question_type is None:
        if all(re.fullmatch("[A-Z]", target) for target in targets):
            return "choice"
        return "judgement" if all(target.lower() in ("true", "false") for target in targets) else "short"
    if isinstance(question_type, str):
        if question_type.startswith("mcq"):
            return "choice"
        if question_type == "true_or_false":
            return "judgement"
        if question_type in _SHORT_TYPES:
            return "short"
    raise ValueError(
        f"the field 'type' is {question_type!r}; rules can judge 'mcq-...', 'true_or_false', {', '.join(_SHORT_TYPES)}"
    )


def _canonical(kind: str, text: str) -> Any:
    """A letter, a bool, a Decimal or folded text; None for what cannot be an answer of this kind."""
    text = _WRAPPED.sub(r"\1", text).strip().strip("$").strip()
    if kind == "choice":
        match = _CHOICE.fullmatch(text)
        return match[1].upper() if match else None
    text = " ".join(text.casefold().split()).removesuffix(".").rstrip()
    if kind == "judgement":
        return _JUDGEMENTS.get(text)
    return Decimal(text) if _NUMBER.fullmatch(text) else text or None
