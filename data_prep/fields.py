"""Reading the fields of other people's rows: text, and the answer.

A field whose type makes no sense is a fault of the data: ValueError, to which the reader of the rows adds the place. A
row that is not a question with one right answer is left out: `LeftOut`, which is counted.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_prep.sources import shown


class LeftOut(Exception):
    """This row makes no puzzle; the message is the reason, worded alike for all rows that it applies to."""


@dataclass
class Tally:
    """Rows by type: how many make a puzzle, and how many are left out, by (type, reason)."""

    usable: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)

    def as_lines(self) -> list[str]:
        """For people: usable rows by type, then what was left out and why."""
        usable = [f"  {count:7d}  {kind}: usable" for kind, count in sorted(self.usable.items())]
        return usable + [
            f"  {count:7d}  {kind}: left out: {why}" for (kind, why), count in sorted(self.left_out.items())
        ]

    def as_dict(self) -> dict[str, Any]:
        """For the manifest: {"usable": {type: rows}, "left_out": {type: {reason: rows}}}."""
        left_out: dict[str, dict[str, int]] = {}
        for (kind, why), count in sorted(self.left_out.items()):
            left_out.setdefault(kind, {})[why] = count
        return {"usable": dict(sorted(self.usable.items())), "left_out": left_out}


def require(fields: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError unless one of `names` is a field."""
    if not any(name in fields for name in names):
        raise ValueError(f"no field {' or '.join(names)}; there are {', '.join(map(shown, fields)) or 'none'}")


def text_of(name: str, value: Any) -> str:
    """A field's text, stripped; "" for None, and for the NaN that pandas makes of None.

    Raises:
        ValueError: another type, or text that no file can hold.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        raise ValueError(f"the field {name!r} must be text; it is {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the field {name!r} is not valid Unicode (an unpaired surrogate): {shown(value)}") from None
    return value.strip()


def label_of(name: str, value: Any) -> str:
    """As `text_of`, but a truth value or a finite number becomes text."""
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    return text_of(name, value)


def answer_of(name: str, value: Any) -> str:
    """The one right answer as text; "" where there is none.

    Numbers and truth values become text. A list means that each of its entries alone is right: one entry is the answer;
    several do not fit into a file whose other answers are text.

    Raises:
        LeftOut: several answers.
        ValueError: another type.
    """
    if isinstance(value, (list, tuple)):
        entries = {answer_of(name, entry) for entry in value} - {""}
        if len(entries) > 1:
            raise LeftOut("it has several right answers")
        return entries.pop() if entries else ""
    return label_of(name, value)
