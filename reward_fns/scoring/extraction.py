r"""Finding the final answer in a response.

    "Nine and seven make sixteen. \boxed{16}<|im_end|>"  ->  "16"

The answer is in `\boxed{...}`, in `<answer>...</answer>` or, if it is a number, after a bare `\boxed`. The one that
*opens* last counts, finished or not: a response cut off within its final box has not answered, and one that boxes two
guesses is judged by the second. Only what the model says in its own turn counts; see `own_turn`. Work is linear in the
length of the response.
"""

import re
from operator import itemgetter, methodcaller
from typing import Any

MAX_ANSWER_CHARS = 10_000
"""A longer box is not an answer. The longest true answer in the built-in tasks has about 100 characters."""

_BOX = r"\boxed"
_TAGS = ("<answer>", "<Answer>", "<ANSWER>")
_CLOSING_TAG = re.compile("</answer>", re.IGNORECASE)
_MAX_BLANKS = 8  # between "\boxed" and what it boxes
_NUMBER = r"-?[0-9][0-9.,/]*"
_LAST_OPENING = re.compile(rf".*(\\boxed\s{{0,{_MAX_BLANKS}}}(?:\{{|(?=-?[0-9])))", re.DOTALL)
_BARE_NUMBER = re.compile(rf"\\boxed\s{{0,{_MAX_BLANKS}}}({_NUMBER})")
_BRACE_OR_ESCAPE = re.compile(r"\\.|[{}]", re.DOTALL)

_TOOL_BEGINS, _TOOL_ENDS = "<tool_response>", "</tool_response>"
_TURN_OF_TOOL = re.compile(rf"(?:<\|im_start\|>|(?<![^\n]))(?:user|tool)\s*(?={_TOOL_BEGINS})")
# A turn begins with its template's mark or, as verl drops special tokens, with what is left of it: a line "user".
_NEW_TURN = re.compile(
    r"\n(?:[ \t*#]*(?:User|Human)[ *]*:|user(?=\n))"
    r"|<\|(?:im_start\|>user|user\|>|start_header_id\|>user|endoftext\|>)|\[INST\]"
)
_USER_IN_PROMPT = re.compile(
    r"User:|Human:|(?:^|\n)(?:user|system)(?=\n)"
    r"|<\|im_start\|>(?:user|system)|<\|user\|>|<\|start_header_id\|>user|\[INST\]"
)
_ASSISTANT = re.compile(
    r"Assistant:|\nassistant\n|<\|im_start\|>assistant|<\|assistant\|>|<\|start_header_id\|>assistant|\[/INST\]"
)
_WORDS_OF_MARKS = ("User", "Human", "\nuser\n", "ssistant", "<|", "INST]")  # one of them is in every mark


def extract_answer(response: Any) -> str | None:
    r"""The stripped text of the final answer in the model's own turn; None where there is none, or a blank one.

    Braces must balance; "\{" and "\}" do not count as braces. Whatever is not a string counts as an empty response.
    """
    if not isinstance(response, str):
        return None
    response = own_turn(response)
    box, tag = _last_openings(response)
    if tag > box:
        begin = response.index(">", tag) + 1
        end = _CLOSING_TAG.search(response, begin, begin + MAX_ANSWER_CHARS)
        answer = response[begin : end.start()] if end else ""
    elif box >= 0:
        answer = _boxed(response, box)
    else:
        return None
    return answer.strip() or None


def own_turn(response: str) -> str:
    r"""What the model itself says in answer to its prompt.

    verl hands over the response alone. A base model may run on after its answer and invent the user's next turn
    ("\nUser: ..."): from the first such turn after a first box or answer tag, the text no longer answers this prompt.
    If a user's turn comes before every box, the prompt was handed over too, and the example box in it is not an answer:
    the text begins at the assistant's turn after it. What a tool returned is not the model's; see `_without_tools`.
    """
    if "<" in response and "tool_response>" in response:
        response = _without_tools(response)
    opening = _first_opening(response)
    # Only a mark after the first opening matters, and there the text is short: searching all of it costs more than the
    # rest of judging.
    tail = response[opening:]
    if not any(map(tail.__contains__, _WORDS_OF_MARKS)):
        return response
    user = _USER_IN_PROMPT.search(response, 0, opening)
    assistant = _ASSISTANT.search(response, user.end()) if user else None
    if assistant:
        response = response[assistant.end() :]
        opening = _first_opening(response)
    turn = _NEW_TURN.search(response, opening)
    return response[: turn.start()] if turn else response


def _without_tools(text: str) -> str:
    """The text without what follows a `<tool_response>` or precedes a `</tool_response>`, up to the next tag.

    The tags need not come in pairs: a tool may print either of them, and a transcript may be cut at either end.
    """
    first, *others = _TURN_OF_TOOL.sub("", text).split(_TOOL_BEGINS)
    own = [first, *filter(re.compile(_TOOL_ENDS).search, others)]
    # Loops in C, as there may be tens of thousands of tags.
    return " ".join(map(itemgetter(2), map(methodcaller("rpartition", _TOOL_ENDS), own)))


def _first_opening(text: str) -> int:
    """Where the first box or answer tag is; the length of the text for none."""
    backslash = text.find("\\")  # searching for one character is a hundred times faster
    opening = text.find(_BOX, backslash) if backslash >= 0 else -1
    if "<" in text:
        return min((at for at in (opening, *map(text.find, _TAGS)) if at >= 0), default=len(text))
    return opening if opening >= 0 else len(text)


def _last_openings(text: str) -> tuple[int, int]:
    """Where the last box opens, and where the last tag does if it comes after the box; -1 for none."""
    box = text.rfind(_BOX)
    if box >= 0 and not text.startswith("{", box + len(_BOX)):
        # The greedy pattern searches from the end, in C: there may be a hundred thousand that open nothing.
        found = _LAST_OPENING.match(text, 0, box + len(_BOX) + _MAX_BLANKS + 2)
        box = found.start(1) if found else -1
    begin = box if box > 0 else 0
    if text.find("<", begin) < 0:
        return box, -1
    return box, max(text.rfind(tag, begin) for tag in _TAGS)


def _boxed(text: str, box: int) -> str:
    begin = box + len(_BOX)
    if text[begin] == "{":
        return _balanced(text, begin + 1)
    number = _BARE_NUMBER.match(text, box)
    return number[1] if number else _balanced(text, text.index("{", begin) + 1)


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
