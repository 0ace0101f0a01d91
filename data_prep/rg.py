"""Any data set of reasoning-gym with its default settings: the task "rg:<data set>", such as "rg:leg_counting".

its own question, and the answer in tags  -> <answer>14</answer>
"""

from collections.abc import Iterator
from typing import Any

from data_prep import reasoning
from data_prep.puzzle import Puzzle, framed
from reward_fns.rg import pack_entry

_QUESTION = "{question}\n\nExplain how you get there, then give the answer alone between <answer> and </answer>."


def config(size: str) -> dict[str, Any]:
    """The data set's name, which stands in the place of a size."""
    return {"dataset": size}


def items(size: str, seed: int, start: int) -> Iterator[dict[str, Any]]:
    """Yield the data set's entries without end, from number `start` on."""
    return reasoning.items(config(size), seed, start)


def puzzle(size: str, item: dict[str, Any]) -> Puzzle:
    """The puzzle made of one entry; the entry goes along, because the data set's own scorer reads it."""
    question = _QUESTION.format(question=item["question"].strip())
    answer = str(item["answer"])
    return Puzzle(
        prompt=framed(question),
        ground_truth={"target": answer, "entry": pack_entry(item)},
        key=item["question"],
        solution=answer,
        question=question,
    )
