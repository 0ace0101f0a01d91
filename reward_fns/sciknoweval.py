r"""SciKnowEval: multiple choice, true or false, short answers, chemical equations and extracted relations.

    ground_truth {"target": "B", "type": "mcq-4-choices"}, answer "(b)"  ->  correct

`type` is the data set's own field. Without it, a target that is one capital letter is a choice, and true or false is a
judgement. A choice is the letter, alone or before its option ("B. Methane"), never one of several ("A or B"). Short
answers are compared without regard to case and spacing, numbers by value, chemical formulas and equations by what is in
them, and relations as a set. `target` may be a list of right answers. Open questions need a judge and are refused.
"""

import re
from decimal import Decimal
from typing import Any, NamedTuple

from reward_fns.registry import register
from reward_fns.scoring.chemistry import equation
from reward_fns.scoring.normalise import normalised, unwrapped
from reward_fns.scoring.relations import relations
from reward_fns.scoring.truth import read_target

_CHOICE = re.compile(r"\(?\s?([A-Za-z])\s?(?:\)|(?P<mark>[.:)])\s*(?P<option>.*))?")
_BRACKETED_CHOICE = re.compile(r"\(([A-Za-z])\)\s+(.*)")
_ANOTHER_CHOICE = re.compile(
    r"(?:^|[\s,;/&(])[A-Z](?:[).:](?:\s|$)|\s?$)|^\s*(?:and|or|,|&|/)|\b(?:and|or|maybe|perhaps|not)\s+\(?[A-Z](?![A-Za-z])"
)
_JUDGEMENTS = {"true": True, "t": True, "yes": True, "false": False, "f": False, "no": False}
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,50}(?:\.[0-9]{0,50})?|\.[0-9]{1,50})(?:[eE][+-]?[0-9]{1,3})?")
_POWER_OF_TEN = re.compile(r"\s?(?:\\times|\\cdot|[x*])\s?10\s?\^\s?\{?\s?([+-]?[0-9]{1,3})\s?\}?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_SHORT_TYPES = ("short", "filling", "relation_extraction")


class Truth(NamedTuple):
    """The kind ("choice", "judgement", "short"), the right answers in canonical form, whether they are relations."""

    kind: str
    accepted: tuple[Any, ...]
    as_relations: bool = False


def read_answers(fields: dict[str, Any], **_: Any) -> Truth:
    """Raises ValueError for a type that cannot be judged by rule and for a target that does not fit its type."""
    target = fields.get("target")
    if isinstance(target, (bool, int, float)):
        target = str(target)
    targets = [read_target({"target": item}) for item in (target if isinstance(target, list) else [target])]
    kind = _kind(fields.get("type"), targets)
    as_relations = fields.get("type") == "relation_extraction"
    accepted = tuple(_canonical(kind, text, as_relations) for text in targets)
    if not accepted or None in accepted:
        raise ValueError(f"the field 'target' does not fit a {kind} question")
    return Truth(kind, accepted, as_relations)


@register("sciknoweval", truth=read_answers)
def is_accepted(answer: str, truth: Truth, **_: Any) -> bool:
    """Whether the answer in canonical form is one of the accepted ones."""
    value = _canonical(truth.kind, answer, truth.as_relations)
    return value is not None and any(_same(accepted, value) for accepted in truth.accepted)


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


class _Short(NamedTuple):
    """A short answer as folded text, and as a chemical equation where it is one."""

    text: str
    equation: Any


def _canonical(kind: str, text: str, as_relations: bool) -> Any:
    """A letter, a bool, a Decimal, relations or a short answer; None for what cannot be an answer of this kind."""
    text = unwrapped(normalised(text))
    if kind == "choice":
        return _chosen_letter(text)
    if as_relations:
        return relations(text)
    folded = text.casefold()
    if kind == "judgement":
        return _JUDGEMENTS.get(folded)
    number = _POWER_OF_TEN.sub(r"e\1", text)
    number = number.replace(",", "") if _THOUSANDS.fullmatch(number) else number
    if _NUMBER.fullmatch(number):
        return Decimal(number)
    return _Short(folded, equation(text)) if folded.strip(".,;: ") else None


def _chosen_letter(text: str) -> str | None:
    """The letter of a choice, unless what follows names another one."""
    match = _BRACKETED_CHOICE.fullmatch(text) or _CHOICE.fullmatch(text)
    if not match:
        return None
    option = match.groups()[-1] or ""
    return None if _ANOTHER_CHOICE.search(option) else match[1].upper()


def _same(accepted: Any, value: Any) -> bool:
    if isinstance(accepted, _Short) and isinstance(value, _Short):
        several = accepted.equation is not None and (len(accepted.equation) > 1 or len(accepted.equation[0]) > 1)
        if several or (accepted.equation and value.equation):
            return accepted.equation == value.equation
        return accepted.text == value.text
    return type(accepted) is type(value) and accepted == value
