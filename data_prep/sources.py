"""Other people's rows, each with its place: parquet, JSON, JSON lines, a folder of these, or a name on the hub.

Whatever is wrong with a file ends in one sentence that names the file, and the row or line where there is one.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

SUFFIXES = (".parquet", ".json", ".jsonl")

_SPLIT = re.compile(r"(train|test)(?:[-._].*)?", re.IGNORECASE)
_BATCH_ROWS = 100  # of which each may have images
_ENDS_AT = "it is damaged or cut off there: fetch it again"


class UnreadableFile(ValueError):
    """A file that holds no rows for us; the message names it and says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")


class Row(NamedTuple):
    """One row: where it is, for messages, and its fields."""

    place: str
    fields: dict[str, Any]


class Table(NamedTuple):
    """A data file as a run reads it: its columns, and the rows with those of them that are asked for."""

    columns: list[str]
    rows: Callable[[list[str]], Iterator[dict[str, Any]]]


def open_table(path: Path) -> Table:
    """A file of any kind that a run takes: JSON if it ends in .json or .jsonl, else parquet.

    Raises:
        UnreadableFile: it cannot be read; reading the rows of a parquet file may raise it, too.
    """
    if not is_json(path):
        file = open_parquet(path)
        return Table(file.schema_arrow.names, lambda columns: parquet_rows(path, file, columns))
    _require_content(path)
    # Imported here, since it takes a second.
    from mt_grpo_recipe.verl_plugin.json_files import read_json

    try:
        table = read_json(str(path))
    except (OSError, ValueError) as error:
        raise UnreadableFile(path, f"cannot be read: {_first_line(error)}") from error
    return Table(table.column_names, lambda columns: iter(table.select_columns(columns)))  # pyright: ignore


def is_json(path: Path) -> bool:
    """Whether a file is JSON, going by its name."""
    return path.suffix in (".json", ".jsonl")


def load(source: str) -> dict[str, list[Row]]:
    """The rows of a data set by split.

    Args:
        source: a file, a folder or a name on the Hugging Face hub. In a folder, a file belongs to "train" or "test" if
            its name, or the name of a folder on the way to it, is that word, alone or followed by "-", "." or "_". With
            files of both splits, only these are read; otherwise all are, as the one split "all".

    Raises:
        ValueError: there is no such source, it holds no rows, or a row is not an object with fields.
    """
    path = Path(source)
    if path.is_dir():
        return _folder(path)
    if path.exists() or path.suffix in SUFFIXES:
        return {"all": list(_file(path))}
    return _hub(source)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Raises UnreadableFile if `path` cannot be read as parquet, for whatever reason."""
    _require_content(path)
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableFile(path, f"is not a parquet file, or is cut off: {_first_line(error)}") from error


def parquet_rows(path: Path, file: pq.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of `file`, opened from `path`, in order; raises UnreadableFile where they break off.

    Args:
        path, file: the file, and how it was opened.
        columns: those to read; None: all.
    """
    done = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            for fields in batch.to_pylist():
                yield fields
                done += 1
    except Exception as error:  # damaged pages and values that Python has no type for fail in many ways
        raise UnreadableFile(path, f"cannot be read from row {done} on: {_first_line(error)}") from error


def _folder(folder: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Path]] = {"train": [], "test": [], "all": []}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()):
        splits = [match[1].lower() for part in path.relative_to(folder).parts if (match := _SPLIT.fullmatch(part))]
        found["all"].append(path)
        if splits:
            found[splits[-1]].append(path)
    if not found["all"]:
        raise UnreadableFile(folder, f"has no file that ends in {', '.join(SUFFIXES)}")
    wanted = ("train", "test") if found["train"] and found["test"] else ("all",)
    return {split: [row for path in found[split] for row in _file(path)] for split in wanted}


def _file(path: Path) -> Iterator[Row]:
    if path.suffix not in SUFFIXES:
        raise UnreadableFile(path, f"cannot be read: give a file that ends in {', '.join(SUFFIXES)}, or a folder")
    if path.suffix == ".parquet":
        for number, fields in enumerate(parquet_rows(path, open_parquet(path))):
            yield Row(f"{path}, row {number}", fields)
        return
    _require_content(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UnreadableFile(path, f"is not JSON in UTF-8: {error}") from error
    for place, value in _json_values(path, text):
        if not isinstance(value, dict):
            raise ValueError(f"{path}, {place}, must be an object with fields; it is {shown(value)}")
        yield Row(f"{path}, {place}", value)


def _json_values(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """Each value with its place; a .json file is one list, one row, or lines like a .jsonl file."""
    if path.suffix == ".json":
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError):
            pass  # then it must be lines
        else:
            yield from (
                (f"row {number}", row) for number, row in enumerate(whole if isinstance(whole, list) else [whole])
            )
            return
    yield from _lines(path, text)


def _lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would split at U+2028, which JSON allows in a text
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UnreadableFile(path, f"is not JSON in line {number} ({error}): {_ENDS_AT}") from error


def _hub(source: str) -> dict[str, list[Row]]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        parts = load_dataset(source)
        return {
            str(split): [Row(f"{source}, split {split}, row {number}", dict(row)) for number, row in enumerate(part)]
            for split, part in parts.items()
        }
    except (DatasetsError, pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(
            f"{source} is neither a file nor a folder here, and the Hugging Face hub does not give it: "
            f"{_first_line(error)}"
        ) from error


def _require_content(path: Path) -> None:
    if path.is_dir():
        raise UnreadableFile(path, "is a folder: name the files in it")
    if not path.exists():
        raise UnreadableFile(path, "does not exist")
    if path.stat().st_size == 0:
        raise UnreadableFile(path, "is empty")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def shown(value: Any) -> str:
    """`value` for a message, in ASCII and at most a hundred characters of it."""
    text = ascii(value)
    return text if len(text) <= 100 else text[:100] + "..."
