"""What every puzzle family hands over, and the frame around a question."""

from collections.abc import Hashable
from dataclasses import dataclass

_FRAME = (
    "An assistant helps a user with a problem: it thinks in writing first and gives its answer last.\n"
    "User: {question}\n"
    "Assistant: Let us go step by step."
)


@dataclass(frozen=True)
class Puzzle:
    """One prompt with what is needed to grade and to solve it.

    Args:
        prompt: the whole text given to the model as the user's message.
        ground_truth: what the reward function compares with; a str or int a field.
        key: equal for two puzzles that are the same question, whatever the order of their parts.
        solution: one right answer, as it would stand inside \\boxed{}.
    """

    prompt: str
    ground_truth: dict[str, str | int]
    key: Hashable
    solution: str


def framed(question: str) -> str:
    """Return the raw-text prompt for `question`: one user turn, then the assistant's turn already begun.

    The text is meant to be fed as it is, without a chat template, so "Assistant:" must occur once only.
    """
    return _FRAME.format(question=question)
