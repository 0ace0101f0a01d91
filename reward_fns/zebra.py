r"""Zebra puzzles: who lives in House 1?

    ground_truth {"target": "carol"}, answer "Carol"  ->  correct

Upper and lower case are the same; anything besides the name, such as `\text{carol}` or a full stop, is wrong.
"""

from typing import Any

from reward_fns.registry import register


@register("zebra")
def names_the_person(answer: str, name: str, **_: Any) -> bool:
    """Whether the answer is the person's name, in any case."""
    return answer.casefold() == name.casefold()
