"""JSON files as data sets of the library `datasets`, with every value as it stands in the file.

The library's own reader finds one type for all values of a field. Text that looks like a date becomes a time, the text
"12" beside an object a number, and a whole number beyond 64 bits a rounded one. Here a column holds each value as JSON
text, the library's type `Json`, which is decoded where a row is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

import datasets
import fsspec


def read_json(place: str) -> datasets.Dataset:
    """The rows of a file that is a list of objects or has one object per line.

    Args:
        place: a path, or an address that fsspec reads.

    Raises:
        ValueError: it has no row, a row is no object, or a value cannot be kept; the message says where.
    """
    texts: dict[str, list[str | None]] = {}
    count = 0
    # Without `newline`, a line would also end at a carriage return within it.
    file: Any = fsspec.open(place, "rt", encoding="utf-8-sig", newline="\n")  # untyped
    with file as stream:
        for where, row in _values(stream):
            if not isinstance(row, dict):
                raise ValueError(f"{where} is no object with fields")
            for name, value in row.items():
                column = texts.setdefault(name, [])
                column += [None] * (count - len(column))
                column.append(None if value is None else _text(value, f"{where}, field {name!r}"))
            count += 1
    if not texts:
        raise ValueError("it has no row")
    columns = {name: column + [None] * (count - len(column)) for name, column in texts.items()}
    return datasets.Dataset.from_dict(columns, datasets.Features({name: datasets.Json() for name in columns}))


def _values(stream: TextIO) -> Iterator[tuple[str, Any]]:
    """Each value with its place: the elements of a list, or one per line."""
    for number, line in enumerate(stream, start=1):
        if line.lstrip().startswith("["):
            rows = _parsed(line + stream.read(), f"the list that begins in line {number}")
            yield from ((f"row {row} (counted from 0)", value) for row, value in enumerate(rows))
        elif line.strip():
            yield f"line {number}", _parsed(line, f"line {number}")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from None


def _text(value: Any, where: str) -> str:
    """The value as JSON text; refuses one that the library would decode to another."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        same = datasets.Json().decode_example(text) == value
    except ValueError:
        same = False
    if not same:
        raise ValueError(
            f"{where}, holds what cannot be kept: a number that is not finite or has too many digits, or half a "
            f"character. Write it as text: {ascii(text)[:100]}"
        )
    return text
