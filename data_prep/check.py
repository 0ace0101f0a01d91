"""Is a parquet file fit for training, whoever made it? Looks at every row; says which is wrong, and why."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_prep.gold import NoSolution, gold_response
from reward_fns import compute_score
from reward_fns.registry import task_for
from reward_fns.scoring.truth import as_fields

COLUMNS = ("data_source", "prompt", "reward_model")
"""What verl reads of every row; `extra_info` may be there too."""

_BATCH_ROWS = 500
_NUMBERING = re.compile(r"^\s*\d+[.)]\s+")


@dataclass(frozen=True)
class Fault:
    """One thing wrong: its kind, the row (from 0; None: the file as a whole) and the reason."""

    kind: str
    row: int | None
    reason: str


@dataclass
class Checked:
    """A file's faults, its number of rows by data_source, and the rows whose answer nothing here can find."""

    path: Path
    faults: list[Fault] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    without_gold: int = 0


def check(paths: Iterable[Path], on_rows: Callable[[int], None] = lambda count: None) -> list[Checked]:
    """Check each file, and that no question of one occurs again in it or in another.

    Args:
        paths: parquet files; of two that share a question, the later one has the fault.
        on_rows: called with the number of rows checked since its last call.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a parquet file.
    """
    seen: dict[Hashable, tuple[Path, int]] = {}
    checked = []
    for path in paths:
        file = Checked(path)
        checked.append(file)
        file.faults.extend(_manifest_faults(path))
        columns = pq.read_schema(path).names
        missing = [column for column in COLUMNS if column not in columns]
        if missing:
            file.faults.append(Fault("columns", None, f"no {', '.join(missing)}; there are {', '.join(columns)}"))
            continue
        for number, row in enumerate(_rows(path, on_rows)):
            file.rows[str(row["data_source"])] += 1
            faults = list(_row_faults(number, row, file))
            file.faults.extend(faults)
            if any(fault.kind == "prompt" for fault in faults):
                continue
            question = _question(row)
            if question not in seen:
                seen[question] = (path, number)
            elif seen[question][0] == path:
                file.faults.append(Fault("repeated question", number, f"the question of row {seen[question][1]} again"))
            else:
                other, other_row = seen[question]
                file.faults.append(Fault("shared question", number, f"the question of row {other_row} of {other}"))
    return checked


def report(file: Checked, at_most: int = 5) -> str:
    """What was found in one file, with `at_most` rows per kind of fault."""
    lines = [f"{file.path}: {sum(file.rows.values())} rows, {len(file.faults)} faults"]
    lines += [f"  {count:7d}  {source}" for source, count in sorted(file.rows.items())]
    if file.without_gold:
        lines.append(f"  {file.without_gold:7d}  rows whose right answer cannot be worked out here, not scored")
    by_kind: dict[str, list[Fault]] = defaultdict(list)
    for fault in file.faults:
        by_kind[fault.kind].append(fault)
    for kind, faults in by_kind.items():
        lines.append(f"  {kind}: {len(faults)}")
        lines += [
            f"    {'file' if fault.row is None else f'row {fault.row}'}: {fault.reason}" for fault in faults[:at_most]
        ]
        if len(faults) > at_most:
            lines.append(f"    ... and {len(faults) - at_most} more")
    return "\n".join(lines)


def _rows(path: Path, on_rows: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH_ROWS):
        yield from batch.to_pylist()
        on_rows(batch.num_rows)


def _row_faults(number: int, row: dict[str, Any], file: Checked) -> Iterator[Fault]:
    reason = _prompt_fault(row["prompt"])
    if reason:
        yield Fault("prompt", number, reason)
    source, model = row["data_source"], row["reward_model"]
    try:
        task = task_for(source)
    except ValueError as error:
        yield Fault("data_source", number, str(error).partition(";")[0])
        return
    if not isinstance(model, dict) or model.get("ground_truth") is None:
        yield Fault("ground truth", number, f"reward_model must hold ground_truth; it is {_short(model)}")
        return
    truth, info = model["ground_truth"], row.get("extra_info")
    try:
        compute_score(source, "", truth, info)
    except ValueError as error:
        yield Fault("ground truth", number, str(error))
        return
    try:
        response = gold_response(task, truth)
    except NoSolution as error:
        yield Fault("no solution", number, str(error))
        return
    if response is None:
        file.without_gold += 1
    elif compute_score(source, response, truth, info)["score"] != 1.0:
        yield Fault("gold answer", number, f"the right answer {_short(response)} does not score 1.0")


def _prompt_fault(prompt: Any) -> str | None:
    if not isinstance(prompt, list) or not prompt:
        return f"must be a list of messages; it is {_short(prompt)}"
    for message in prompt:
        if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
            return f"a message must have role and content; it is {_short(message)}"
        if message["role"] not in ("system", "user", "assistant"):
            return f"the role must be system, user or assistant; it is {_short(message['role'])}"
        if not isinstance(message["content"], str) or not message["content"].strip():
            return f"the content must be text; it is {_short(message['content'])}"
    if prompt[-1]["role"] != "user":
        return f"the last message must be the user's; its role is {prompt[-1]['role']!r}"
    return None


def _question(row: dict[str, Any]) -> Hashable:
    """Equal for rows that ask the same, with or without a frame around it and in whatever order of its lines.

    Countdown goes by its numbers, so that no wording and no order of them hides a question.
    """
    source, model = row["data_source"], row["reward_model"]
    if isinstance(source, str) and source.startswith("countdown") and isinstance(model, dict):
        fields = as_fields(model.get("ground_truth"))
        return "countdown", str(sorted(str(fields.get("numbers")).split(","))), str(fields.get("target"))
    text = "\n".join(message["content"] for message in row["prompt"] if message["role"] == "user")
    if "Assistant:" in text:
        text = text[: text.rindex("Assistant:")].partition("User:")[2] or text
    lines = (" ".join(_NUMBERING.sub("", line).split()) for line in text.splitlines())
    return tuple(sorted(line for line in lines if line))


def _manifest_faults(path: Path) -> Iterator[Fault]:
    """A file that `prepare` wrote is still as it was."""
    manifest = path.with_name("manifest.json")
    if manifest.exists():
        known = json.loads(manifest.read_text(encoding="utf-8")).get("files", {}).get(path.name)
        if known and hashlib.sha256(path.read_bytes()).hexdigest() != known["sha256"]:
            yield Fault("manifest", None, f"is not the file that {manifest} describes: its SHA-256 differs")


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 100 else text[:100] + "..."
