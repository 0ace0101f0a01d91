"""Any data set of reasoning-gym as the task "rg:<data set>", with settings of your own or its defaults.

its own question, and the answer in tags  -> <answer>14</answer>
"""

import json
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from data_prep import reasoning
from data_prep.puzzle import Puzzle, framed
from reward_fns.rg import pack_entry

_QUESTION = "{question}\n\nExplain how you get there, then give the answer alone between <answer> and </answer>."
_CHUNK = 100
_SEEDS = 1 << 31  # numpy, which some data sets use, takes seeds of 32 bits


def config(size: str, **settings: Any) -> dict[str, Any]:
    """The data set's name, in place of a size, and its settings."""
    return {"dataset": size, **settings}


def items(size: str, seed: int, start: int, **settings: Any) -> Iterator[dict[str, Any]]:
    """Yield the data set's entries endlessly, from number `start` on.

    Some data sets have no entries beyond their size, so each hundred comes from a data set of its own. Its seed is the
    first seed plus the number of its first entry, because most data sets make entry i from the seed plus i.
    """
    for chunk in count(start // _CHUNK):
        chunk_seed = (seed + chunk * _CHUNK) % _SEEDS
        entries = reasoning.items({**config(size, **settings), "size": _CHUNK}, chunk_seed, 0)
        yield from islice(entries, start % _CHUNK if chunk == start // _CHUNK else 0, _CHUNK)


def puzzle(size: str, item: dict[str, Any], **settings: Any) -> Puzzle:
    """The puzzle made from one entry, with the entry and the settings, which the data set's own scorer reads.

    A data set whose questions have many right answers may name none; its rows have no target.
    """
    answer, question = item["answer"], _QUESTION.format(question=item["question"].strip())
    truth: dict[str, str | int] = {"entry": pack_entry(item)}
    if answer is not None:
        truth["target"] = str(answer)
    if settings:
        truth["config"] = json.dumps(settings, sort_keys=True)
    return Puzzle(framed(question), truth, item["question"], str(answer), question)
