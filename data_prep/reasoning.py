"""Items of a data set of reasoning-gym by their number: the same seed and number give the same item."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from reasoning_gym import create_dataset


def items(config: dict[str, Any], seed: int, start: int) -> Iterator[dict[str, Any]]:
    """Yield the items of `config["dataset"]`, made with the other settings, endlessly from number `start` on."""
    settings = {key: value for key, value in config.items() if key != "dataset"}
    source = create_dataset(config["dataset"], seed=seed, **settings)
    # By number, not by iterating, which ends at the data set's nominal size.
    return (source[number] for number in count(start))
