"""Check every puzzle in a parquet file with programs that share nothing with the generator; not collected by pytest.

    python tests/data_prep/check_puzzles.py data/train.parquet ...

countdown  an expression of the numbers that is worth the target exists (exact fractions, `data_prep.countdown_solver`)
zebra      the clues, read from the prompt, allow one arrangement, with the named person in House 1 (`zebra_solver.py`;
           the mini size by trying all arrangements)
arc        one of the seventy rules of `arc_rules.py` explains the examples in the prompt and gives the target

Exits with 1 when a puzzle fails. Also counts ARC puzzles whose examples some other rule explains with another answer.
"""

import re
import sys
from collections import Counter
from itertools import permutations, product
from typing import Any

import pyarrow.parquet as pq
from arc_rules import RULES, Row
from zebra_solver import read, solutions

from data_prep.countdown_solver import solve


def countdown_fault(truth: dict[str, Any], prompt: str) -> str | None:
    """What is wrong with a countdown row, or None."""
    numbers, target = truth["numbers"].split(","), str(truth["target"])
    shown = re.findall(r"\d+", prompt.partition("for example")[0])
    if Counter(shown) != Counter([*numbers, target]):
        return "the prompt shows other numbers"
    return None if solve([int(number) for number in numbers], int(target)) else "no solution"


def zebra_fault(truth: dict[str, Any], prompt: str) -> str | None:
    """What is wrong with a zebra row, or None."""
    if prompt.startswith("houses "):
        found = mini_zebra_answers(prompt.split()[1:], houses=len(truth["target"]))
        return None if found == {truth["target"]} else f"solutions {found}"
    puzzle = read(prompt)
    found = solutions(puzzle)
    if len(found) != 1:
        return f"{len(found)} solutions"
    [person] = [name for name in puzzle[0][0] if found[0][name] == 1]
    return None if person.lower() == truth["target"] else f"{person} lives in House 1"


def mini_zebra_answers(clues: list[str], houses: int) -> set[str]:
    """Every order of the people a, b, ... that clues in the mini notation allow."""
    kinds = ["abcd"[:houses], "xyzw"[:houses]]
    if any(letter in clue for clue in clues for letter in "pqrs"):
        kinds.append("pqrs"[:houses])

    def holds(clue: str, at: dict[str, int]) -> bool:
        left, sign, right = clue
        if right.isdigit():
            return at[left] == int(right)
        gap = at[right] - at[left]
        return {"=": gap == 0, "<": gap == 1, "~": abs(gap) == 1}[sign]

    answers = set()
    for places in product(permutations(range(1, houses + 1)), repeat=len(kinds)):
        at: dict[str, int] = {}
        for kind, order in zip(kinds, places, strict=True):
            at |= zip(kind, order, strict=True)
        if all(holds(clue, at) for clue in clues):
            answers.add("".join(sorted(kinds[0], key=at.__getitem__)))
    return answers


def arc_rows(prompt: str) -> tuple[list[tuple[Row, Row]], Row]:
    """The examples of a prompt and the row to answer."""
    if prompt.startswith("rule "):
        *examples, test = prompt.split()[1:]
        pairs = [tuple([int(digit) for digit in row] for row in example.split(">")) for example in examples]
        return [(before, after) for before, after in pairs], [int(digit) for digit in test.removesuffix(">?")]
    rows = [
        [int(digit) for digit in row.split()]
        for row in re.findall(r"^(?:Input|Output): ([\d ]+)$", prompt, re.MULTILINE)
    ]
    return list(zip(rows[:-1:2], rows[1::2], strict=True)), rows[-1]


def arc_answers(prompt: str) -> dict[str, Row]:
    """What each rule that explains all the examples makes of the row to answer."""
    examples, test = arc_rows(prompt)
    answers = {}
    for name, rule in RULES.items():
        try:
            if all(rule(before) == after for before, after in examples):
                answers[name] = rule(test)
        except (ValueError, IndexError, ZeroDivisionError):  # the row has nothing for this rule to act on
            continue
    return answers


def arc_fault(truth: dict[str, Any], prompt: str) -> str | None:
    """What is wrong with an ARC row, or None."""
    answers = {" ".join(map(str, answer)) for answer in arc_answers(prompt).values()}
    return None if truth["target"] in answers else "no rule that explains the examples gives this target"


def is_open(prompt: str) -> bool:
    """Whether two rules explain the examples of an ARC prompt and disagree about the answer."""
    return len(set(map(tuple, arc_answers(prompt).values()))) > 1


FAULTS = {"countdown": countdown_fault, "zebra": zebra_fault, "arc": arc_fault}


def main(paths: list[str]) -> int:
    checked, failed, ambiguous = Counter(), Counter(), Counter()
    for path in paths:
        for row in pq.read_table(path).to_pylist():
            task = row["extra_info"]["task"]
            truth, prompt = row["reward_model"]["ground_truth"], row["prompt"][0]["content"]
            family = task.split("-")[0]
            if family not in FAULTS:
                continue
            checked[task] += 1
            ambiguous[task] += family == "arc" and is_open(prompt)
            fault = FAULTS[family](truth, prompt)
            if fault:
                failed[task] += 1
                print(f"{path} row {row['extra_info']['index']}: {fault}")
    for task, count in checked.items():
        note = f", {ambiguous[task]} open to another rule's answer" if task.startswith("arc") else ""
        print(f"{task}: {count} checked, {failed[task]} failed{note}")
    return 1 if sum(failed.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
