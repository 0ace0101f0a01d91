r"""SciKnowEval's rows as puzzles: only those whose answer follows from the prompt, and can be judged by rule.

    {"prompt": {"default": "Extract the (gene, change, disease) triplets ..."}, "question": "an abstract",
     "type": "relation_extraction", "domain": "Biology", "answer": "(F11, COM, FXI deficiency)"}

`prompt.default` is the row's instruction. For relations it alone says what is asked, so it opens every prompt, without
the words that forbid an explanation: the model should think before it answers.

A row with relations is left out unless the question names the ends of each relation, and the instruction its kind. This
rule excludes the data set's drug interactions, whose kinds ("int", "advise") no instruction names, and its dopings,
whose answers are sentences.
"""

import re
from collections.abc import Mapping
from typing import Any

from data_prep.fields import LeftOut, answer_of, label_of, require, text_of
from data_prep.puzzle import Puzzle, framed
from data_prep.sources import shown
from reward_fns.sciknoweval import read_answers
from reward_fns.scoring.relations import tuples

RELATIONS = "relation_extraction"

_FORBIDS_THINKING = re.compile(
    r"(?:please )?directly give[^.]*\.|do not output any other characters\.?|,? without any explanation", re.IGNORECASE
)
_CHOICE = (
    "{question}\n\n{choices}\n\nExplain how you decide, then give the letter of the right choice alone inside "
    "\\boxed{{}}, for example \\boxed{{A}}."
)
_JUDGEMENT = "{question}\n\nExplain how you decide, then give the one word {yes} or {no} inside \\boxed{{}}."
_RELATIONS = (
    "{question}\n\nExplain which you find and where, then give the list of all of them alone, in the form asked for, "
    "inside \\boxed{{}}."
)
_SHORT = (
    "{question}\n\nExplain how you get there, then give the answer alone, as short as it can be, inside \\boxed{{}}."
)


def science_puzzle(row: Mapping[str, Any]) -> Puzzle:
    """The puzzle of one row.

    Raises:
        LeftOut: its answer does not follow from the prompt, or no rule can judge it.
        ValueError: a field is missing or has a type that makes no sense.
    """
    require(row, "question")
    require(row, "answerKey", "answer")
    question, kind = text_of("question", row["question"]), type_of(row)
    if not question:
        raise LeftOut("it has no question")
    answer = answer_of("answerKey", row.get("answerKey")) or answer_of("answer", row.get("answer"))
    if not answer:
        raise LeftOut("it has no answer")
    truth: dict[str, str | int] = {"target": answer, "type": kind}
    try:
        judged_as = read_answers(truth).kind
    except ValueError:
        raise LeftOut("no rule can judge its answer") from None
    instruction = instruction_of(row)
    if kind == RELATIONS:
        _require_relations(answer, question, instruction)
        asked = key = _RELATIONS.format(question=question)
    elif judged_as == "choice":
        asked = key = _CHOICE.format(question=question, choices=_choices(row.get("choices"), answer))
    elif judged_as == "judgement":
        yes, no = ("Yes", "No") if answer.casefold().rstrip(".") in ("yes", "no") else ("True", "False")
        asked, key = _JUDGEMENT.format(question=question, yes=yes, no=no), question
    else:
        asked = key = _SHORT.format(question=question)
    whole = f"{instruction}\n\n{asked}" if instruction else asked
    return Puzzle(framed(whole), truth, key, answer, whole)


def type_of(row: Mapping[str, Any]) -> str:
    """The row's `type`, which may be in a list of one; "no type" where it is blank."""
    require(row, "type")
    value = row["type"]
    return text_of("type", value[0] if isinstance(value, list) and len(value) == 1 else value) or "no type"


def instruction_of(row: Mapping[str, Any]) -> str:
    """The text of `prompt` or `prompt.default` without the words that forbid an explanation; "" where there is none."""
    prompt = row.get("prompt")
    text = text_of("prompt", prompt.get("default") if isinstance(prompt, dict) else prompt)
    return re.sub(r" {2,}", " ", _FORBIDS_THINKING.sub("", text)).strip()


def _require_relations(answer: str, question: str, instruction: str) -> None:
    """Raise LeftOut unless `answer` follows from the two texts; see the top of this file."""
    if not instruction:
        raise LeftOut("it has no instruction that says what to answer")
    relations = tuples(answer)
    # As many parts in each: a comma within a name makes one more.
    if not relations or len({len(parts) for parts in relations}) > 1 or not all(map(all, relations)):
        raise LeftOut("its answer is no list of relations")
    for first, *between, last in relations:
        if not (_names(question, first) and _names(question, last)):
            raise LeftOut("its answer has words that are not in the question")
        if not all(_names(instruction, part) for part in between):
            raise LeftOut("its instruction does not name the kinds of relation")


def _names(text: str, part: str) -> bool:
    """Whether `text` contains `part` as whole words, in any case and spacing."""
    words = r"\s+".join(re.escape(word) for word in part.casefold().split())
    return re.search(rf"(?<!\w){words}(?!\w)", text.casefold()) is not None


def _choices(choices: Any, answer: str) -> str:
    """The choices as lines; raises LeftOut unless exactly one of them is the right one, with its letter."""
    if not choices:
        raise LeftOut("it has no choices")
    labels, texts = (choices.get(name) if isinstance(choices, dict) else None for name in ("label", "text"))
    if not (isinstance(labels, list) and isinstance(texts, list) and len(labels) == len(texts)):
        raise ValueError(f"'choices' must hold lists 'label' and 'text' of one length; it is {shown(choices)}")
    listed = [(label_of("label", label), label_of("text", text)) for label, text in zip(labels, texts, strict=True)]
    right = [text for label, text in listed if label == answer]
    if len(right) != 1:
        raise LeftOut("the right letter is not one of its choices")
    if sum(text == right[0] for _, text in listed) > 1:
        raise LeftOut("more than one choice has the text of the right one")
    return "\n".join(f"{label}) {text}" for label, text in listed)
