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

_LAST_BOX_OPENING = re.compile(r".*(\\boxed\s{0,8}\{)", re.DOTALL)
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
    for mark in PROMPT_ENDS:
        _, found, rest = response.partition(mark)
        if found:
            response = rest
            break
    box = _last_box_opening(response)
    tag = response.rfind("<answer>")
    if box is not None and box.start(1) > tag:
        answer = _balanced(response, box.end())
    elif tag >= 0:
        begin = tag + len("<answer>")
        end = response.find("</answer>", begin, begin + MAX_ANSWER_CHARS)
        answer = response[begin:end] if end >= 0 else ""
    else:
        return None
    return answer.strip() or None


def _last_box_opening(text: str) -> re.Match[str] | None:
    # The greedy pattern looks from the end, in C; the test before it spares text without any box the search.
    return _LAST_BOX_OPENING.match(text) if r"\boxed" in text else None


def _balanced(text: str, begin: int) -> str:
    """The text from `begin` to the brace that closes it, or "" where none does within MAX_ANSWER_CHARS."""
    depth = 1
    for token in _BRACE_OR_ESCAPE.finditer(text, begin, begin + MAX_ANSWER_CHARS):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return text[begin : token.start()]
    return ""
