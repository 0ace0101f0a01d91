"""Is a data file fit for training, whoever made it? Checks every row; says which ones are wrong, and why."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.gold import Gold, NoSolution, golds, is_own
from data_prep.judge import CheckRaised, is_right, require_a_verdict
from data_prep.manifest import NAME, ForeignManifest, digest, read_manifest
from data_prep.questions import MEDIA, question
from data_prep.sources import UnreadableFile, is_json, open_parquet, open_table, shown
from data_prep.task_fields import TaskFields
from reward_fns import compute_score
from reward_fns.registry import Task, task_for

COLUMNS = ("data_source", "prompt", "reward_model")
"""What verl reads from every row; `extra_info` may be there, too."""

_NOT_COMPARED = ("prompt", "data_source", "ground truth", "blank gold")
"""Rows with one of these faults are not compared with other rows' questions."""

_NO_ANSWER = (
    ". Correct the check, or the target. If the target is not meant to be an answer, give that field another name, and "
    "the task a reader: @register(name, truth=...)"
)

_RAISED = ". Correct the check: in a run, an answer on which it raises counts as wrong"


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
    raised: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)
    """By task and class of exception: the rows on which the check raised, and what it said."""
    notes: list[str] = field(default_factory=list)
    """What may be meant so."""


def check(paths: Iterable[Path], on_row: Callable[[], None] = lambda: None) -> list[Checked]:
    """Check each file, and that no question occurs twice, in one file or in two.

    A file that cannot be read has the fault "file"; the others are still checked.

    Args:
        paths: parquet or JSON files; if two share a question, the later one has the fault.
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


def count_rows(path: Path) -> int | None:
    """The number of rows that a file says it has; 0 for one that cannot be read, None for JSON, which does not say."""
    if is_json(path):
        return None
    try:
        return open_parquet(path).metadata.num_rows
    except UnreadableFile:
        return 0


def _check_file(file: Checked, seen: dict[Hashable, tuple[Path, int]], on_row: Callable[[], None]) -> None:
    table = open_table(file.path)
    file.faults.extend(_manifest_faults(file.path))
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        file.faults.append(Fault("columns", None, f"no {', '.join(missing)}; there are {', '.join(table.columns)}"))
        return
    wanted = [column for column in table.columns if column in (*COLUMNS, *MEDIA, "extra_info")]
    tasks = TaskFields()
    for number, row in enumerate(table.rows(wanted)):
        file.rows[str(row["data_source"])] += 1
        faults = list(_row_faults(number, row, file))
        file.faults.extend(faults)
        if reason := tasks.read(number, row.get("extra_info")):
            file.faults.append(Fault("task", number, reason))
        if not any(fault.kind in _NOT_COMPARED for fault in faults):
            file.faults.extend(_repeated(number, row, file.path, seen))
        on_row()
    file.faults.extend(_faults_of_all_rows(file, tasks))


def _faults_of_all_rows(file: Checked, tasks: TaskFields) -> Iterator[Fault]:
    if not file.rows:
        yield Fault("no rows", None, "it has no row, and a run refuses it. Leave it out, or make it again")
    for number, reason in tasks.lacking():
        if number is None:
            file.notes.append(reason)
        else:
            yield Fault("task", number, reason)
    for rows in file.raised.values():
        number, reason = rows[0]
        more = f", and in {_counted(len(rows) - 1, 'more row')}" * (len(rows) > 1)
        yield Fault("check raised", number, f"{reason}{more}", _RAISED)


def _repeated(number: int, row: dict[str, Any], path: Path, seen: dict[Hashable, tuple[Path, int]]) -> Iterator[Fault]:
    asked = question(row)
    if asked not in seen:
        seen[asked] = (path, number)
        return
    other, other_row = seen[asked]
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
    lines += [f"  note: {note}" for note in file.notes]
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
    try:
        found = golds(task, row["reward_model"]["ground_truth"])
    except NoSolution as error:
        yield Fault("no solution", number, str(error))
        return
    try:
        for gold in found:
            yield from _score_faults(number, row, task, gold)
    except CheckRaised as error:
        file.raised.setdefault((task.name, error.kind), []).append((number, str(error)))
    except TypeError as error:  # a check of somebody's own that returns no verdict
        yield Fault("gold answer", number, str(error))
    if not found:
        if is_own(task) and task.name not in file.without_gold:
            file.notes += _note_on_guesses(task, row)
        file.without_gold[task.name] += 1


def _note_on_guesses(task: Task, row: dict[str, Any]) -> list[str]:
    """What a check of somebody's own raises on likely answers, where no right one is known: it may be broken."""
    try:
        require_a_verdict(task, row)
    except CheckRaised as error:
        return [f"{error}. If it raises on right answers as well, they count as wrong"]
    except TypeError as error:  # no verdict
        return [str(error)]
    return []


def _score_faults(number: int, row: dict[str, Any], task: Task, gold: Gold) -> Iterator[Fault]:
    right = is_right(task, gold.response, row)
    if not right and gold.is_target:
        reason = f"the row's own target does not score 1.0: the task's check calls {shown(gold.response)} wrong"
        yield Fault("gold answer", number, reason, _NO_ANSWER)
    elif not right:
        yield Fault("gold answer", number, f"the right answer {shown(gold.response)} does not score 1.0")
    elif gold.respelled and not is_right(task, gold.respelled, row):
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


def _manifest_faults(path: Path) -> Iterator[Fault]:
    """Report a file that `prepare` wrote and that has changed since."""
    manifest = path.with_name(NAME)
    if not manifest.exists():
        return
    try:
        expected = read_manifest(manifest).sha256_of.get(path.name)
    except ForeignManifest as error:
        yield Fault("manifest", None, str(error))
        return
    if expected and digest(path) != expected:
        yield Fault("manifest", None, f"is not the file that {manifest} describes: its SHA-256 differs")
