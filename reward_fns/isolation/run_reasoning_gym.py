"""What runs in the helper process for `reward_fns.rg`."""

import json
import math
from functools import lru_cache
from typing import Any

import reasoning_gym

from reward_fns.rg import FULL_MARKS, unpack_entry


def dataset(name: str, config: str) -> None:
    """Raises where reasoning-gym has no such data set or refuses the settings."""
    _dataset(name, config)


def best_score(name: str, config: str, packed_entry: str, spellings: list[str]) -> float:
    """reasoning-gym's own score of the answer's best spelling; raises what the scorer raised if none has full marks."""
    best, failure = -math.inf, None
    for spelling in spellings:
        try:
            best = max(best, float(_dataset(name, config).score_answer(spelling, unpack_entry(packed_entry))))
        except Exception as error:
            failure = error
        if best >= FULL_MARKS:
            return best
    if failure:
        raise failure
    return best


@lru_cache(maxsize=256)
def _dataset(name: str, config: str) -> Any:
    return reasoning_gym.create_dataset(name, **{"size": 1, "seed": 0, **json.loads(config)})
