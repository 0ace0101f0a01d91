r"""One-dimensional ARC: the output row that belongs to the last input.

    ground_truth {"target": "0 0 9"}, answer "0 0 9"  ->  correct

The prompt shows rows as digits with spaces, and so must the answer: commas are wrong, and so is `009`. Brackets around
the row are dropped, and any spacing between two cells (`~`, `\quad`, a line break) counts as one space.
"""

import re
from typing import Any

from reward_fns.registry import register
from reward_fns.scoring.normalise import normalised
from reward_fns.scoring.truth import read_target

_ROW = re.compile(r"[0-9](?: [0-9])*")
_BRACKETED = re.compile(r"[\[(]\s*([0-9 ]*?)\s*[\])]")


def read_row(fields: dict[str, Any], **_: Any) -> str:
    """The target row; raises ValueError unless it is ASCII digits with single spaces."""
    row = read_target(fields)
    if not _ROW.fullmatch(row):
        raise ValueError("the field 'target' must be digits with single spaces")
    return row


@register("arc", truth=read_row)
def repeats_the_row(answer: str, row: str, **_: Any) -> bool:
    """Whether the answer is the target row, cell by cell."""
    answer = normalised(answer)
    bracketed = _BRACKETED.fullmatch(answer)
    return (bracketed[1] if bracketed else answer) == row
