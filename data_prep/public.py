r"""Public benchmarks as tasks: MATH and the domains of SciKnowEval, from the Hugging Face hub or a local copy.

MATH         columns problem, solution (its last \boxed{} is the answer) or answer   -> task math
SciKnowEval  columns question, type, domain, answerKey or answer, choices            -> tasks biology, chemistry, ...

MATH brings its own split. SciKnowEval has none: its rows are shuffled by the seed, and the first are the test rows.
Questions that no rule can judge (open answers) are left out.
"""

import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from data_prep.puzzle import Puzzle, framed
from reward_fns.sciknoweval import read_answers
from reward_fns.scoring.extraction import extract_answer

DOMAINS = {"biology": "biology", "chemistry": "chemistry", "physics": "physics", "material": "materials"}
"""SciKnowEval's domain in lower case, without a final s -> task."""

_FILES = {".parquet": "parquet", ".json": "json", ".jsonl": "json"}
_MATH = "{question}\n\nExplain how you get there, then give the final answer alone inside \\boxed{{}}."
_CHOICE = (
    "{question}\n\n{choices}\n\nExplain how you decide, then give the letter of the right choice alone inside "
    "\\boxed{{}}, for example \\boxed{{A}}."
)
_JUDGEMENT = (
    "{question}\n\nIs this true or false? Explain how you decide, then give the one word True or False inside "
    "\\boxed{{}}."
)
_SHORT = (
    "{question}\n\nExplain how you get there, then give the answer alone, as short as it can be, inside \\boxed{{}}."
)

Splits = dict[str, list[Puzzle]]
"""Puzzles by split, "train" and "test"."""


def load(source: str) -> dict[str, Any]:
    """The rows of a data set by split.

    Args:
        source: a parquet, JSON or JSON-lines file, a folder of such files, or a name on the Hugging Face hub.

    Raises:
        ValueError: a file of another kind.
    """
    from datasets import load_dataset

    path = Path(source)
    if path.is_file():
        if path.suffix not in _FILES:
            raise ValueError(f"{source} cannot be read: give a file that ends in {', '.join(_FILES)}, or a folder")
        parts = load_dataset(_FILES[path.suffix], data_files=str(path))
    else:
        parts = load_dataset(source)
    return {str(split): part for split, part in parts.items()}


def math_puzzle(row: Mapping[str, Any]) -> Puzzle | None:
    """The puzzle of one row of MATH; None if its solution has no box to take the answer from."""
    answer = row["answer"] if row.get("answer") else extract_answer(row["solution"])
    if not answer or not answer.strip():
        return None
    question = _MATH.format(question=row["problem"].strip())
    return Puzzle(framed(question), {"target": answer.strip()}, row["problem"].strip(), answer.strip(), question)


def science_puzzle(row: Mapping[str, Any]) -> Puzzle | None:
    """The puzzle of one row of SciKnowEval; None for a question that no rule can judge."""
    answer = row.get("answerKey") or row.get("answer")
    truth = {"target": answer, "type": row["type"]}
    try:
        kind = read_answers(truth).kind
    except ValueError:
        return None
    if not isinstance(answer, str):
        return None  # one parquet column has one type, so lists of answers stay out
    choices = row.get("choices") or {}
    labels, texts = choices.get("label") or [], choices.get("text") or []
    if kind == "choice" and answer not in labels:
        return None
    frame = {"choice": _CHOICE, "judgement": _JUDGEMENT, "short": _SHORT}[kind]
    listed = "\n".join(f"{label}) {text}" for label, text in zip(labels, texts, strict=False))
    question = frame.format(question=row["question"].strip(), choices=listed)
    return Puzzle(framed(question), {"target": answer, "type": row["type"]}, question, answer, question)


def read_math(source: str, train: int, test: int, seed: int) -> dict[str, Splits]:
    """Task `math`; arguments as for `read_science`."""
    rows = load(source)
    _require_columns(source, rows, ["problem"], ["solution", "answer"])
    return {"math": _split({name: _puzzles(part, math_puzzle) for name, part in rows.items()}, train, test, seed)}


def read_science(source: str, domains: Iterable[str], train: int, test: int, seed: int) -> dict[str, Splits]:
    """One task per domain.

    Args:
        source: see `load`.
        domains: tasks wanted, of the values of `DOMAINS`.
        train: most training rows per task.
        test: test rows per task.
        seed: of the split.

    Raises:
        ValueError: a column is missing, or a domain has no row, or no more rows than the test takes.
    """
    rows = load(source)
    _require_columns(source, rows, ["question", "type", "domain"], ["answerKey", "answer"])
    tasks: dict[str, Splits] = {}
    for task in domains:

        def of_domain(row: Mapping[str, Any], task: str = task) -> Puzzle | None:
            domain = str(row["domain"]).strip().lower()
            return science_puzzle(row) if DOMAINS.get(domain, DOMAINS.get(domain.removesuffix("s"))) == task else None

        parts = {name: _puzzles(part, of_domain) for name, part in rows.items()}
        if not any(parts.values()):
            raise ValueError(f"{source} has no question of the domain {task!r} that a rule can judge")
        tasks[f"sciknoweval-{task}"] = _split(parts, train, test, seed)
    return tasks


def _require_columns(source: str, parts: Mapping[str, Any], columns: list[str], any_of: list[str]) -> None:
    for name, part in parts.items():
        missing = [column for column in columns if column not in part.column_names]
        if missing or not set(any_of) & set(part.column_names):
            raise ValueError(
                f"{source}, split {name!r}, has the columns {part.column_names}; needed are {columns} and one of "
                f"{any_of}. Give a data set in that schema."
            )


def _puzzles(rows: Iterable[Any], make: Callable[[Any], Puzzle | None]) -> list[Puzzle]:
    return [puzzle for row in rows if (puzzle := make(row)) is not None]


def _split(parts: dict[str, list[Puzzle]], train: int, test: int, seed: int) -> Splits:
    """Distinct puzzles by split, none of test in train: the data set's own splits if it has both, else by the seed."""
    order = random.Random(seed)
    if parts.keys() >= {"train", "test"}:
        pools = [parts["test"], parts["train"]]
        for pool in pools:
            order.shuffle(pool)
    else:
        whole = _distinct([puzzle for part in parts.values() for puzzle in part], set())
        order.shuffle(whole)
        pools = [whole[:test], whole[test:]]
    seen: set[Hashable] = set()
    chosen = {"test": _distinct(pools[0], seen)[:test], "train": _distinct(pools[1], seen)[:train]}
    if len(chosen["test"]) < test or not chosen["train"]:
        raise ValueError(
            f"only {len(chosen['test'])} test and {len(chosen['train'])} training rows were found for --test {test}: "
            "ask for fewer test rows, or give more data"
        )
    return chosen


def _distinct(puzzles: Iterable[Puzzle], seen: set[Hashable]) -> list[Puzzle]:
    """Puzzles whose question is not in `seen`, which takes them up."""
    fresh = []
    for puzzle in puzzles:
        if puzzle.key not in seen:
            seen.add(puzzle.key)
            fresh.append(puzzle)
    return fresh
