r"""Zebra puzzles: who lives in House 1?

    ground_truth {"target": "carol"}, answer "Carol"  ->  correct

Case does not count, nor does what `normalised` drops: `\text{carol}`, `**carol**`, `carol.`. Any other word beside the
name makes the answer wrong.
"""

from typing import Any

from reward_fns.registry import register
from reward_fns.scoring.normalise import normalised
from reward_fns.scoring.truth import read_single_target


@register("zebra", truth=read_single_target)
def names_the_person(answer: str, name: str, **_: Any) -> bool:
    """Whether the answer is the person's name, in any case."""
    return normalised(answer).casefold() == normalised(name).casefold()
