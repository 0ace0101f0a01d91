"""What runs in the helper process for `reward_fns.rg`."""

import json
from functools import lru_cache
from typing import Any

import reasoning_gym

from reward_fns.rg import unpack_entry


def dataset(name: str, config: str) -> None:
    """Raises where reasoning-gym has no such data set or refuses the settings."""
    _dataset(name, config)


def score(name: str, config: str, packed_entry: str, answer: str) -> float:
    """reasoning-gym's own score of the answer."""
    return float(_dataset(name, config).score_answer(answer, unpack_entry(packed_entry)))


@lru_cache(maxsize=256)
def _dataset(name: str, config: str) -> Any:
    return reasoning_gym.create_dataset(name, **{"size": 1, "seed": 0, **json.loads(config)})
