r"""SciKnowEval: multiple choice, true or false, short answers, chemical equations and extracted relations.

    ground_truth {"target": "B", "type": "mcq-4-choices"}, answer "(b)"  ->  correct

`type` is the data set's own field. Without it, a target that is one letter is a choice, and true, false, yes or no is a
judgement. A choice is the letter, alone or before its option ("B. Methane", "B. 12 V"), never one of several
("A or B"). Short answers are compared without regard to case, spacing and LaTeX ("m/s^2" is `\text{m/s}^{2}`), numbers
by value, chemical formulas and equations by what is in them, and relations as a set. `target` may be a list of right
answers, also one that is written as text. Open questions need a judge and are refused.
"""

import re
from decimal import Decimal
from typing import Any, NamedTuple

from reward_fns.registry import register
from reward_fns.scoring.chemistry import MAX_CHARS, equation
from reward_fns.scoring.normalise import normalised, unwrapped
from reward_fns.scoring.relations import relations
from reward_fns.scoring.truth import number_as_text, quoted_list, read_target

_CHOICE = re.compile(r"\(?\s?([A-Za-z])\s?(?:\)|(?P<mark>[.:)])\s*(?P<option>.*))?")
_BRACKETED_CHOICE = re.compile(r"\(([A-Za-z])\)\s+(.*)")
_ANOTHER_CHOICE = re.compile(
    r"^[A-Z](?:[):]|\.(?!\s[a-z]{3}))(?:\s|$)"  # but not "C. elegans"
    r"|[\s,;/&(][A-Z][).:](?:\s|$)"
    r"|(?:^|[,;(]\s?|\s[&-]\s|(?<![JVWN])/\s?)[A-Z]\s?$"  # but not "12 V", "Vitamin C", "R&D" and "J/K"
    r"|^\s*(?:(?:and|or)\b|[,&/])"
    r"|\b(?i:and|but|either|maybe|nor|not|or|perhaps|possibly|probably)\s+\(?[A-Z](?![A-Za-z])"
)
_SEVERAL_CHOICES = re.compile(r"[A-Za-z](?:[).:][A-Z])+[).:]?")  # "B.C.D"
_LETTERS = r"[A-Z](?:, [A-Z])*,? and [A-Z](?![\w).:])"
_NAMED_LETTERS = re.compile(  # in an option's text: "vitamins A and C", "A and C only", "X and Y"
    rf"\b(?!(?i:answers|choices|options|perhaps)\b)[A-Za-z]+s {_LETTERS}"
    rf"|^{_LETTERS} (?:only|(?!perhaps\b)[a-z]{{3,}}s)\b|^[K-Z] and [K-Z](?![\w).:])"
)
_ASIDE = re.compile(r"\(([^()]{2,})\)")
_JUDGEMENTS = {"true": True, "t": True, "yes": True, "false": False, "f": False, "no": False}
_ONE_LETTER = re.compile(r"(?:[A-Za-z]|\([A-Za-z]\))\.?")
_ONE_JUDGEMENT = re.compile(r"(?:(?i:true|false|yes)|[Nn]o)\.?")  # NO is nitric oxide
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,50}(?:\.[0-9]{0,50})?|\.[0-9]{1,50})(?:[eE][+-]?[0-9]{1,3})?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_POWER_OF_TEN = re.compile(r"([+-]?)10\^\{([+-]?[0-9]{1,3})\}")
_ESCAPE = re.compile(r"\\(?=[%&#_])|\{(?=,\})|(?<=\{,)\}")
_SPELLINGS = [
    (re.compile(r"\s?([\^_])\s?\{\s?([^{}]*?)\s?\}"), r"\1{\2}"),
    (re.compile(r"\s?([\^_])\s?([+-]?(?:[0-9]+|[a-z]+)|[A-Z][a-z]*|[+-]|\\[A-Za-z]+)"), r"\1{\2}"),
    (re.compile(r"(?<=[0-9.])\s?(?:\\times|\\cdot|[x*])\s?10\^\{([+-]?[0-9]{1,3})\}"), r"e\1"),
    (re.compile(r"\s?([-=/])\s?|\s(\+)\s|\s(?=[%,;:)\]])|(?<=[(\[])\s|(?<=\\circ\})\s"), r"\1\2"),
]
r"""What makes one text of `k_B T` and `k_{B} T`, of `50%` and `50\%`, of `\beta -sheet` and `\beta-sheet`."""
_SHORT_TYPES = ("short", "filling", "relation_extraction")


class Truth(NamedTuple):
    """The kind ("choice", "judgement", "short"), the right answers in canonical form, whether they are relations."""

    kind: str
    accepted: tuple[Any, ...]
    as_relations: bool = False


def read_answers(fields: dict[str, Any], **_: Any) -> Truth:
    """Raises ValueError for a type that cannot be judged by rule and for a target that does not fit its type."""
    targets = read_targets(fields)
    kind = _kind(fields.get("type"), targets)
    as_relations = fields.get("type") == "relation_extraction"
    accepted = tuple(_canonical(kind, text, as_relations) for text in targets)
    if not accepted or None in accepted:
        raise ValueError(f"the field 'target' does not fit a {kind} question")
    return Truth(kind, accepted, as_relations)


def read_targets(fields: dict[str, Any]) -> list[str]:
    """The right answers as text; relations are one answer, however they are listed."""
    target = fields.get("target")
    if isinstance(target, str) and fields.get("type") != "relation_extraction":
        target = quoted_list(target) or target
    return [read_target({"target": _as_text(item)}) for item in (target if isinstance(target, list) else [target])]


@register("sciknoweval", truth=read_answers)
def is_accepted(answer: str, truth: Truth, **_: Any) -> bool:
    """Whether the answer in canonical form is one of the accepted ones."""
    value = _canonical(truth.kind, answer, truth.as_relations)
    return value is not None and any(_same(accepted, value) for accepted in truth.accepted)


def _kind(question_type: Any, targets: list[str]) -> str:
    if question_type is None:
        if all(map(_ONE_LETTER.fullmatch, targets)):
            return "choice"
        return "judgement" if all(map(_ONE_JUDGEMENT.fullmatch, targets)) else "short"
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


def _as_text(item: Any) -> Any:
    if isinstance(item, bool):
        return str(item)
    return number_as_text(item) if isinstance(item, (int, float)) else item


class _Short(NamedTuple):
    """A short answer as folded text, and as a chemical equation where it is one."""

    text: str
    equation: Any


def _canonical(kind: str, text: str, as_relations: bool) -> Any:
    """A letter, a bool, a Decimal, relations or a short answer; None for what cannot be an answer of this kind."""
    text = _ESCAPE.sub("", unwrapped(normalised(text)))
    if kind == "choice":
        return _chosen_letter(text)
    if as_relations:
        return relations(text)
    if kind == "judgement":
        return _JUDGEMENTS.get(text.casefold())
    spelled = text
    for pattern, replacement in _SPELLINGS if len(text) <= MAX_CHARS else ():
        spelled = pattern.sub(replacement, spelled)
    power = _POWER_OF_TEN.fullmatch(spelled)
    number = f"{power[1]}1e{power[2]}" if power else spelled
    number = number.replace(",", "") if _THOUSANDS.fullmatch(number) else number
    if _NUMBER.fullmatch(number):
        return Decimal(number)
    return _Short(spelled.casefold(), equation(text)) if spelled.strip(".,;: ") else None


def _chosen_letter(text: str) -> str | None:
    """The letter of a choice, unless what follows names another one."""
    match = _BRACKETED_CHOICE.fullmatch(text) or _CHOICE.fullmatch(text)
    if not match or _SEVERAL_CHOICES.fullmatch(text):
        return None
    option = _ASIDE.sub(r" \1 ", match.groups()[-1] or "")  # "acid (vitamin C)" has no choice "C)"
    option = _NAMED_LETTERS.sub("letters", option)
    return None if _ANOTHER_CHOICE.search(option) else match[1].upper()


def _same(accepted: Any, value: Any) -> bool:
    if isinstance(accepted, _Short) and isinstance(value, _Short):
        several = accepted.equation is not None and (len(accepted.equation) > 1 or len(accepted.equation[0]) > 1)
        if several or (accepted.equation and value.equation):
            return accepted.equation == value.equation
        return accepted.text == value.text
    return type(accepted) is type(value) and accepted == value
