"""What every puzzle family provides, and the frame around a question."""

import re
from collections.abc import Hashable
from dataclasses import dataclass

MINI = ("mini", "mini2", "mini3")
"""Sizes of every family, in rising order, for a model of half a million parameters."""

_FRAME = (
    "A user brings a problem to an assistant. The assistant thinks in writing first, one small step after the other, "
    "looking back where something is off, and gives its answer last.\n"
    "User: {question}\n"
    "Assistant: Let us go step by step."
)


_NUMBERING = re.compile(r"^\s*(?:\d+|[A-Z])[.)]\s+")


def asked(text: str) -> tuple[str, ...]:
    """Equal for questions that ask the same: blanks, the order of lines and what numbers them do not count."""
    lines = (" ".join(_NUMBERING.sub("", line).split()) for line in text.splitlines())
    return tuple(sorted(line for line in lines if line))


@dataclass(frozen=True)
class Puzzle:
    """One prompt with what is needed to grade and to solve it.

    Args:
        prompt: the text for a base model, fed unchanged.
        ground_truth: what the reward function compares with; one str or int per field.
        key: equal for two puzzles that are the same question, whatever the order of their parts; a str or a flat tuple.
        solution: one right answer, as it would be inside \\boxed{}.
        question: the text for a model with a chat template, which has a frame of its own.
    """

    prompt: str
    ground_truth: dict[str, str | int]
    key: Hashable
    solution: str
    question: str


def framed(question: str) -> str:
    """Return the raw-text prompt for `question`: one user turn, then the assistant's turn already begun.

    The text is meant to be fed unchanged, without a chat template, so "Assistant:" must occur only once.
    """
    return _FRAME.format(question=question)
