"""One-dimensional ARC: the output row that belongs to the last input.

    ground_truth {"target": "0 0 9"}, answer "0 0 9"  ->  correct

The prompt shows rows as digits with single spaces, and so must the answer: commas, brackets, doubled spaces and line
breaks are wrong.
"""

import re
from typing import Any

from reward_fns.registry import register
from reward_fns.scoring.truth import read_target

_ROW = re.compile(r"[0-9](?: [0-9])*")


def read_row(fields: dict[str, Any], **_: Any) -> str:
    """The target row; raises ValueError unless it is ASCII digits with single spaces."""
    row = read_target(fields)
    if not _ROW.fullmatch(row):
        raise ValueError("the field 'target' must be digits with single spaces")
    return row


@register("arc", truth=read_row)
def repeats_the_row(answer: str, row: str, **_: Any) -> bool:
    """Whether the answer is the target row, character for character."""
    return answer == row
