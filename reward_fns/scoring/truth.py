"""Reading the `ground_truth` field of a row.

Rows pass through parquet, pandas and Ray before they get here, so the same truth may be a dict, a struct with None in
the fields of other tasks, a JSON string, a bare value or numpy's version of any of these. All of them become one dict.
A truth that does not fit its task is a fault of the data: these functions raise ValueError and never guess.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any

_WHOLE_NUMBER = re.compile(r"\s*-?[0-9]{1,99}\s*")


def as_fields(ground_truth: Any) -> dict[str, Any]:
    """The truth as a dict of plain Python values, without the fields that are None; a bare value is its `target`.

    >>> as_fields({"numbers": None, "target": "alice"})
    {'target': 'alice'}
    >>> as_fields("alice")
    {'target': 'alice'}
    """
    value = ground_truth if isinstance(ground_truth, dict) else _plain(ground_truth)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            parsed = json.loads(value)
        except ValueError:  # a set such as {1, 2} is a legitimate answer in mathematics
            parsed = value
        value = parsed if isinstance(parsed, dict) else value
    if not isinstance(value, dict):
        value = {"target": value}
    return {
        str(key): field if type(field) in (str, int) else _plain(field)  # the common case, without a call
        for key, field in value.items()
        if field is not None
    }


def read_target(fields: dict[str, Any], **_: Any) -> str:
    """The `target` field, stripped; raises ValueError where it is missing, blank or not text."""
    target = fields.get("target")
    if not isinstance(target, str) or not target.strip():
        given = "missing" if target is None else ascii(target)[:100]
        raise ValueError(
            f"the field 'target' is {given}: it must be text that is not blank, such as '3'. For another type, give "
            "the task a reader: @register(name, truth=...)"
        )
    return target.strip()


def number_as_text(value: float) -> str:
    """A number with all its digits and no exponent, so 5e-05 is "0.00005"; raises ValueError for NaN and infinity."""
    if not math.isfinite(value):
        raise ValueError(f"the field 'target' is {value}, which is no answer")
    return format(Decimal(repr(value)), "f")


def read_whole_number(value: Any, field: str) -> int:
    """An int given as such, as decimal text or, as in pandas columns with gaps, as a whole float."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(f"the field {field!r} must hold whole numbers, not {value!r}")


def _plain(value: Any) -> Any:
    """Numpy scalars and arrays as Python values, through dicts and lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(field) for key, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
