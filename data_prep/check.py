"""Is a parquet file fit for training, whoever made it? Checks every row; says which ones are wrong, and why."""

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.gold import NoSolution, golds
from data_prep.puzzle import asked
from data_prep.sources import UnreadableFile, open_parquet, parquet_rows, shown
from reward_fns import compute_score
from reward_fns.registry import Task, task_for
from reward_fns.scoring.truth import as_fields

COLUMNS = ("data_source", "prompt", "reward_model")
"""What verl reads from every row; `extra_info` may be there, too."""

_NOT_COMPARED = ("prompt", "data_source", "ground truth", "blank gold")
"""Rows with one of these faults are not compared with other rows' questions."""

_NO_ANSWER = (
    ". Correct the check, or the target. If the target is not meant to be an answer, give that field another name, and "
    "the task a reader: @register(name, truth=...)"
)


@dataclass(frozen=True)
class Fault:
    """One thing wrong: its kind, the row (from 0; None: the file as a whole) and the reason.

    `advice` says what to do, and is the same for all faults of a kind.
    """

    kind: str
    row: int | None
    reason: str
    advice: str = ""


@dataclass
class Checked:
    """A file's faults, its number of rows by data_source, and by task those whose right answer is not known here."""

    path: Path
    faults: list[Fault] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    without_gold: Counter[str] = field(default_factory=Counter)


def check(paths: Iterable[Path], on_row: Callable[[], None] = lambda: None) -> list[Checked]:
    """Check each file, and that no question occurs twice, in one file or in two.

    A file that cannot be read has the fault "file"; the others are still checked.

    Args:
        paths: parquet files; if two share a question, the later one has the fault.
        on_row: called after each row.
    """
    seen: dict[Hashable, tuple[Path, int]] = {}
    checked = []
    for path in paths:
        file = Checked(path)
        checked.append(file)
        try:
            _check_file(file, seen, on_row)
        except UnreadableFile as error:
            file.faults.append(Fault("file", None, str(error)))
    return checked


def count_rows(path: Path) -> int:
    """The number of rows that a file says it has; 0 for one that cannot be read."""
    try:
        return open_parquet(path).metadata.num_rows
    except UnreadableFile:
        return 0


def _check_file(file: Checked, seen: dict[Hashable, tuple[Path, int]], on_row: Callable[[], None]) -> None:
    parquet = open_parquet(file.path)
    file.faults.extend(_manifest_faults(file.path))
    columns = parquet.schema_arrow.names
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        file.faults.append(Fault("columns", None, f"no {', '.join(missing)}; there are {', '.join(columns)}"))
        return
    wanted = [column for column in columns if column in (*COLUMNS, "extra_info")]
    for number, row in enumerate(parquet_rows(file.path, parquet, wanted)):
        file.rows[str(row["data_source"])] += 1
        faults = list(_row_faults(number, row, file))
        file.faults.extend(faults)
        if not any(fault.kind in _NOT_COMPARED for fault in faults):
            file.faults.extend(_repeated(number, row, file.path, seen))
        on_row()


def _repeated(number: int, row: dict[str, Any], path: Path, seen: dict[Hashable, tuple[Path, int]]) -> Iterator[Fault]:
    question = _question(row)
    if question not in seen:
        seen[question] = (path, number)
        return
    other, other_row = seen[question]
    if other == path:
        yield Fault("repeated question", number, f"the question of row {other_row} again")
    else:
        yield Fault("shared question", number, f"the question of row {other_row} of {other}")


def report(file: Checked, at_most: int = 5) -> str:
    """What was found in one file, with `at_most` rows per kind of fault."""
    if not file.rows and [fault.kind for fault in file.faults] == ["file"]:
        return file.faults[0].reason
    lines = [f"{file.path}: {_counted(sum(file.rows.values()), 'row')}, {_counted(len(file.faults), 'fault')}"]
    lines += [f"  {count:7d}  {source}" for source, count in sorted(file.rows.items())]
    for task, count in sorted(file.without_gold.items()):
        lines.append(
            f"  {count:7d}  not scored, since their right answer is not known here (task {task!r}): the reward "
            "function was only asked to read the ground truth"
        )
    by_kind: dict[str, list[Fault]] = defaultdict(list)
    for fault in file.faults:
        by_kind[fault.kind].append(fault)
    for kind, faults in by_kind.items():
        lines.append(f"  {kind}: {len(faults)}")
        lines += [
            f"    {'file' if fault.row is None else f'row {fault.row}'}: {fault.reason}{fault.advice * (place == 0)}"
            for place, fault in enumerate(faults[:at_most])
        ]
        if len(faults) > at_most:
            lines.append(f"    ... and {len(faults) - at_most} more")
    return "\n".join(lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _row_faults(number: int, row: dict[str, Any], file: Checked) -> Iterator[Fault]:
    reason = _prompt_fault(row["prompt"])
    if reason:
        yield Fault("prompt", number, reason)
    source, model = row["data_source"], row["reward_model"]
    try:
        task = task_for(source)
    except ValueError as error:
        reason, *advice = str(error).partition(";")
        yield Fault("data_source", number, reason, "".join(advice))
        return
    if not isinstance(model, dict) or model.get("ground_truth") is None:
        yield Fault("ground truth", number, f"reward_model must hold ground_truth; it is {shown(model)}")
        return
    truth, info = model["ground_truth"], row.get("extra_info")
    target = truth.get("target") if isinstance(truth, dict) else truth
    try:
        compute_score(source, "", truth, info)
    except ValueError as error:
        yield Fault("blank gold" if _is_blank(target) else "ground truth", number, str(error))
        return
    if target is not None and _is_blank(target):
        yield Fault("blank gold", number, f"the right answer is {shown(target)}")
        return
    yield from _gold_faults(number, row, task, file)


def _gold_faults(number: int, row: dict[str, Any], task: Task, file: Checked) -> Iterator[Fault]:
    """A right answer must score 1.0, and so must the same answer in another spelling."""
    source, truth, info = row["data_source"], row["reward_model"]["ground_truth"], row.get("extra_info")
    try:
        found = golds(task, truth)
    except NoSolution as error:
        yield Fault("no solution", number, str(error))
        return
    if not found:
        file.without_gold[task.name] += 1
    for gold in found:
        try:
            score = compute_score(source, gold.response, truth, info)["score"]
        except TypeError as error:  # a check of somebody's own that returns no verdict
            yield Fault("gold answer", number, str(error))
            continue
        if score != 1.0 and gold.is_target:
            reason = f"the row's own target does not score 1.0: the task's check calls {shown(gold.response)} wrong"
            yield Fault("gold answer", number, reason, _NO_ANSWER)
        elif score != 1.0:
            yield Fault("gold answer", number, f"the right answer {shown(gold.response)} does not score 1.0")
        elif gold.respelled and compute_score(source, gold.respelled, truth, info)["score"] != 1.0:
            yield Fault(
                "unread gold",
                number,
                f"the judge cannot read the right answer: {shown(gold.response)} scores 1.0, but not "
                f"{shown(gold.respelled)}, which says the same",
            )
        elif not gold.is_read():
            yield Fault("unread gold", number, f"{shown(gold.response)} scores 1.0 only when spelled exactly like that")


def _is_blank(target: Any) -> bool:
    """Whether there is nothing to compare with: None, NaN, blank text, or a list with such an entry or none."""
    if isinstance(target, list):
        return not target or any(map(_is_blank, target))
    if isinstance(target, str):
        return not target.strip()
    return target is None or (isinstance(target, float) and math.isnan(target))


def _prompt_fault(prompt: Any) -> str | None:
    if not isinstance(prompt, list) or not prompt:
        return f"must be a list of messages; it is {shown(prompt)}"
    for message in prompt:
        if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
            return f"a message must have role and content; it is {shown(message)}"
        if message["role"] not in ("system", "user", "assistant"):
            return f"the role must be system, user or assistant; it is {shown(message['role'])}"
        if not isinstance(message["content"], str) or not message["content"].strip():
            return f"the content must be text; it is {shown(message['content'])}"
    if prompt[-1]["role"] != "user":
        return f"the last message must be the user's; its role is {prompt[-1]['role']!r}"
    return None


def _question(row: dict[str, Any]) -> Hashable:
    """Equal for rows that ask the same, with or without a frame around it, whatever numbers or orders its lines.

    Countdown goes by its numbers, so that neither wording nor their order hides a repeated question.
    """
    if task_for(row["data_source"]).name == "countdown":
        fields = as_fields(row["reward_model"]["ground_truth"])
        numbers = fields["numbers"]
        numbers = numbers.split(",") if isinstance(numbers, str) else numbers
        return "countdown", tuple(sorted(int(number) for number in numbers)), int(fields["target"])
    text = "\n".join(message["content"] for message in row["prompt"] if message["role"] == "user")
    if "Assistant:" in text:
        text = text[: text.rindex("Assistant:")].partition("User:")[2] or text
    return asked(text)


def _manifest_faults(path: Path) -> Iterator[Fault]:
    """Report a file that `prepare` wrote and that has changed since."""
    manifest = path.with_name("manifest.json")
    if not manifest.exists():
        return
    try:
        known = json.loads(manifest.read_text(encoding="utf-8"))["files"].get(path.name)
        expected = known["sha256"] if known else None
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        yield Fault("manifest", None, f"{manifest} is no manifest of `mt-grpo prepare`: {type(error).__name__}")
        return
    if expected and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        yield Fault("manifest", None, f"is not the file that {manifest} describes: its SHA-256 differs")
