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

_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_QUOTED_LIST = re.compile(rf"\s*\[\s*{_QUOTED}(?:\s*,\s*{_QUOTED})*\s*,?\s*\]\s*", re.DOTALL)
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


def read_single_target(fields: dict[str, Any], **_: Any) -> str:
    """The `target` field of a task with one right answer; raises ValueError for a list written as text, too."""
    target = read_target(fields)
    if quoted_list(target) is not None:
        raise ValueError(f"the field 'target' is a list written as text, {ascii(target)[:100]}: give the entry alone")
    return target


def quoted_list(text: str) -> list[str] | None:
    """The entries of a list of quoted texts, as JSON or Python writes it; None for any other text.

    >>> quoted_list("['NaCl', 'table salt']")
    ['NaCl', 'table salt']
    """
    if not _QUOTED_LIST.fullmatch(text):
        return None
    try:
        return list(map(str, json.loads(text)))
    except ValueError:
        return [re.sub(r"\\(['\"])", r"\1", quoted[1:-1]) for quoted in re.findall(_QUOTED, text, re.DOTALL)]


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
