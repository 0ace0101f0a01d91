"""When two rows ask the same."""

import hashlib
from collections.abc import Hashable
from typing import Any

from data_prep.gold import MATHS
from data_prep.puzzle import asked
from reward_fns.registry import task_for
from reward_fns.scoring.truth import as_fields

MEDIA = ("images", "videos", "audios")
"""Columns whose content verl puts into the prompt."""

_BY_LINES = ("zebra", "arc", "sciknoweval", *MATHS)
"""Tasks of this package in which neither the order nor the numbering of lines makes another question."""


def question(row: dict[str, Any]) -> Hashable:
    """Equal for rows that ask the same; the row's prompt is a list of messages, and a reward task knows it.

    Countdown goes by its numbers, so that neither wording nor their order hides a repeated question. The other families
    of this package go by the user's lines, with or without a frame around them, whatever numbers or orders these. All
    other rows ask the same if their messages are the same, but for blanks. Images and the like must be the same, too.
    """
    name = task_for(row["data_source"]).name
    if name == "countdown":
        fields = as_fields(row["reward_model"]["ground_truth"])
        numbers = fields["numbers"]
        numbers = numbers.split(",") if isinstance(numbers, str) else numbers
        return "countdown", tuple(sorted(int(number) for number in numbers)), int(fields["target"])
    text = _lines_asked(row["prompt"]) if name in _BY_LINES else tuple(map(_message, row["prompt"]))
    return text, *((column, _digest(row[column])) for column in MEDIA if row.get(column))


def _lines_asked(prompt: list[dict[str, Any]]) -> tuple[str, ...]:
    text = "\n".join(message["content"] for message in prompt if message["role"] == "user")
    if "Assistant:" in text:
        text = text[: text.rindex("Assistant:")].partition("User:")[2] or text
    return asked(text)


def _message(message: dict[str, Any]) -> Hashable:
    """A message without what is None in it; blank lines and the number of blanks within a line do not count.

    Blanks before a line do: they are part of a program's text.
    """
    lines = (line.rstrip() for line in message["content"].strip().splitlines())
    text = [line[: len(line) - len(line.lstrip())] + " ".join(line.split()) for line in lines if line]
    others = {name: value for name, value in message.items() if value is not None and name != "content"}
    return repr(sorted(others.items())), "\n".join(text)


def _digest(value: Any) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()
