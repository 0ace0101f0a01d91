r"""Finding the final answer in a response.

    "Nine and seven make sixteen. \boxed{16}<|im_end|>"  ->  "16"

The answer stands in `\boxed{...}` or in `<answer>...</answer>`. The one that *opens* last counts, finished or not: a
response cut off within its final box has not answered, and one that boxes two guesses is judged by the second.
Work is linear in the length of the response.
"""

import re
from typing import Any

MAX_ANSWER_CHARS = 10_000
"""A longer box is no answer. The longest true answer of the built-in tasks has about 100 characters."""

PROMPT_ENDS = ("Assistant:", "<|im_start|>assistant")

_BOX, _TAG = r"\boxed", "<answer>"
_MAX_BLANKS = 8  # between "\boxed" and its brace
_LAST_OPENING = re.compile(rf".*(\\boxed\s{{0,{_MAX_BLANKS}}}\{{)", re.DOTALL)
_BRACE_OR_ESCAPE = re.compile(r"\\.|[{}]", re.DOTALL)


def extract_answer(response: Any) -> str | None:
    r"""The stripped text of the final box or answer tag, or None where there is none, or only blank text in it.

    verl hands over the response alone. For text that has the prompt in front, everything up to the first "Assistant:"
    (else the first "<|im_start|>assistant") is cut away, so the example box of a prompt is never taken for an answer. A
    response that writes these words itself loses what it wrote before them; it cannot gain.

    Braces must balance; "\{" and "\}" do not count as braces. Whatever is not a string counts as an empty response.
    """
    if not isinstance(response, str):
        return None
    box, tag = _last_openings(response)
    # Only a mark behind the final opening can cut it away, and there the text is short. Both marks hold this word.
    if response.find("ssistant", max(box, tag, 0)) >= 0:
        response = _without_prompt(response)
        box, tag = _last_openings(response)
    if tag > box:
        begin = tag + len(_TAG)
        end = response.find("</answer>", begin, begin + MAX_ANSWER_CHARS)
        answer = response[begin:end] if end >= 0 else ""
    elif box >= 0:
        answer = _balanced(response, response.index("{", box) + 1)
    else:
        return None
    return answer.strip() or None


def _without_prompt(text: str) -> str:
    for mark in PROMPT_ENDS:
        _, found, rest = text.partition(mark)
        if found:
            return rest
    return text


def _last_openings(text: str) -> tuple[int, int]:
    """Where the last box opens, and where the last tag does if it stands behind the box; -1 for none."""
    box = text.rfind(_BOX)
    if box >= 0 and not text.startswith("{", box + len(_BOX)):
        # The greedy pattern looks from the end, in C: there may be a hundred thousand that open nothing.
        found = _LAST_OPENING.match(text, 0, box + len(_BOX) + _MAX_BLANKS + 1)
        box = found.start(1) if found else -1
    return box, text.rfind(_TAG, max(box, 0))


def _balanced(text: str, begin: int) -> str:
    """The text from `begin` to the brace that closes it, or "" where none does within MAX_ANSWER_CHARS."""
    first = text.find("}", begin, begin + MAX_ANSWER_CHARS)
    if first >= 0 and text.find("{", begin, first) < 0 and text.find("\\", begin, first) < 0:
        return text[begin:first]  # nothing to count: most answers
    depth = 1
    for token in _BRACE_OR_ESCAPE.finditer(text, begin, begin + MAX_ANSWER_CHARS):
        if token[0] == "}":
            depth -= 1
            if depth == 0:
                return text[begin : token.start()]
        elif token[0] == "{":
            depth += 1
    return ""
