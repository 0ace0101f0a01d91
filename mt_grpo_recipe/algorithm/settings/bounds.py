"""What a setting may be, and the error that says so."""

from __future__ import annotations

import math


class SettingError(ValueError):
    """A setting that cannot be used.

    Args:
        name: field, with its section where a rule spans sections: "improvement.granularity".
        problem: what was given, what is allowed, and what to do; follows the name in the message.
    """

    def __init__(self, name: str, problem: str):
        super().__init__(name + problem)
        self.name = name
        self.problem = problem


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise SettingError(name, f"={value!r} cannot be used: it must be {allowed}.")


def require_positive(name: str, value: float) -> None:
    require(0 < value < math.inf, name, value, "a number above 0")


def require_at_least(name: str, value: float, least: float) -> None:
    require(least <= value < math.inf, name, value, f"a number, {least} or more")


def require_decay(name: str, value: float) -> None:
    require(0 <= value < 1, name, value, "in [0, 1)")


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    require(value in choices, name, value, "one of " + ", ".join(choices))
