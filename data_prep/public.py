r"""Public benchmarks as tasks: MATH and the domains of SciKnowEval, from the Hugging Face hub or a local copy.

MATH         fields problem, solution (its last \boxed{} is the answer) or answer           -> task math
SciKnowEval  fields prompt, question, type, domain, answerKey or answer, choices            -> tasks biology, ...

MATH brings its own split. SciKnowEval has none: its rows are shuffled by the seed, and the first are the test rows.
What is left out, such as questions that no rule can judge, is counted by type and reason.
"""

import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from data_prep.fields import LeftOut, Tally, answer_of, require, text_of
from data_prep.puzzle import Puzzle, asked, framed
from data_prep.science import science_puzzle, type_of
from data_prep.sources import Row, load
from reward_fns.scoring.extraction import extract_answer

DOMAINS = {"biology": "biology", "chemistry": "chemistry", "physics": "physics", "material": "materials"}
"""SciKnowEval's domain in lower case, without a final s -> task."""

_MATH = "{question}\n\nExplain how you get there, then give the final answer alone inside \\boxed{{}}."

Splits = dict[str, list[Puzzle]]
"""Puzzles by split, "train" and "test"."""


def math_puzzle(row: Mapping[str, Any]) -> Puzzle:
    """The puzzle of one row of MATH; the answer is its `answer`, else the last box of its `solution`.

    Raises:
        LeftOut: it has no problem, or not exactly one answer.
        ValueError: a field is missing or has a type that makes no sense.
    """
    require(row, "problem")
    require(row, "answer", "solution")
    problem = text_of("problem", row["problem"])
    if not problem:
        raise LeftOut("it has no problem")
    answer = answer_of("answer", row.get("answer")) or extract_answer(text_of("solution", row.get("solution")))
    if not answer:
        raise LeftOut("it has no answer")
    question = _MATH.format(question=problem)
    return Puzzle(framed(question), {"target": answer}, problem, answer, question)


def read_math(source: str, train: int, test: int, seed: int) -> tuple[dict[str, Splits], Tally]:
    """Task `math`; arguments, results and errors as for `read_science`."""
    return _read(source, ["math"], lambda row: ("math", "math", lambda: math_puzzle(row)), train, test, seed)


def read_science(
    source: str, domains: Iterable[str], train: int, test: int, seed: int
) -> tuple[dict[str, Splits], Tally]:
    """One task per domain.

    Args:
        source: see `data_prep.sources.load`.
        domains: tasks wanted, of the values of `DOMAINS`.
        train: most training rows per task.
        test: test rows per task.
        seed: of the split.

    Returns:
        Puzzles by task ("sciknoweval-physics") and split; and what became of the rows, except those of other domains.

    Raises:
        ValueError: the source cannot be read, a row has a field that makes no sense (the message names the row), or a
            domain has no row, or no more rows than the test takes.
    """
    return _read(source, [f"sciknoweval-{task}" for task in domains], _science_row, train, test, seed)


Reading = tuple[str, str, Callable[[], Puzzle]]
"""A row's task, its type for the tally, and what makes its puzzle."""


def _science_row(row: Mapping[str, Any]) -> Reading:
    require(row, "domain")
    domain = text_of("domain", row["domain"]).lower()
    task = DOMAINS.get(domain, DOMAINS.get(domain.removesuffix("s")))
    return f"sciknoweval-{task}" if task else "", type_of(row), lambda: science_puzzle(row)


def _read(
    source: str, tasks: list[str], read: Callable[[Mapping[str, Any]], Reading], train: int, test: int, seed: int
) -> tuple[dict[str, Splits], Tally]:
    if train < 0 or test < 0:
        raise ValueError(f"the number of rows cannot be negative: --train {train}, --test {test}")
    rows, tally = load(source), Tally()
    splits = ("test", "train") if rows.keys() >= {"train", "test"} else tuple(rows)
    seen: set[Hashable] = set()
    parts = {split: _puzzles(rows[split], tasks, read, seen, tally) for split in splits}
    found = {}
    for task in tasks:
        own = {split: part[task] for split, part in parts.items()}
        if not any(own.values()):
            why = "; ".join(line.strip() for line in tally.as_lines())
            raise ValueError(f"{source} has no question of {task!r} that a rule can judge ({why or 'no rows'})")
        found[task] = _split(f"{source}, {task}", own, train, test, seed)
    return found, tally


def _puzzles(
    rows: Iterable[Row],
    tasks: list[str],
    read: Callable[[Mapping[str, Any]], Reading],
    seen: set[Hashable],
    tally: Tally,
) -> dict[str, list[Puzzle]]:
    """Puzzles of `tasks`, by task, whose question is not yet in `seen`, where they are added as `asked` gives them."""
    puzzles: dict[str, list[Puzzle]] = {task: [] for task in tasks}
    for row in rows:
        try:
            task, kind, make = read(row.fields)
            if task and task not in puzzles:
                continue
            puzzle = _made(task, make, seen, kind, tally)
        except ValueError as error:
            raise ValueError(f"{row.place}: {error}") from error
        if puzzle:
            puzzles[task].append(puzzle)
    return puzzles


def _made(task: str, make: Callable[[], Puzzle], seen: set[Hashable], kind: str, tally: Tally) -> Puzzle | None:
    """The puzzle, or None if it is left out; `tally` counts it either way."""
    try:
        if not task:
            raise LeftOut(f"its domain is none of {', '.join(DOMAINS)}")
        puzzle = make()
        question = asked(str(puzzle.key))
        if question in seen:
            raise LeftOut("its question is another row's")
    except LeftOut as reason:
        tally.left_out[kind, str(reason)] += 1
        return None
    seen.add(question)
    tally.usable[kind] += 1
    return puzzle


def _split(name: str, parts: dict[str, list[Puzzle]], train: int, test: int, seed: int) -> Splits:
    """Puzzles by split: the data set's own splits if it has both, else by the seed."""
    order = random.Random(seed)
    if parts.keys() == {"train", "test"}:
        pools = [parts["test"], parts["train"]]
        for pool in pools:
            order.shuffle(pool)
    else:
        whole = [puzzle for part in parts.values() for puzzle in part]
        order.shuffle(whole)
        pools = [whole[:test], whole[test:]]
    chosen = {"test": pools[0][:test], "train": pools[1][:train]}
    if len(chosen["test"]) < test or not chosen["train"]:
        raise ValueError(
            f"{name}: only {len(pools[0])} test and {len(pools[1])} training rows were found for --test {test} and "
            f"--train {train}: ask for fewer test rows and at least one training row, or give more data"
        )
    return chosen
