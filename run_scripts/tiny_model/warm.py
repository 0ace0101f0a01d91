"""Make the warm model of the miniature comparison: taught the mini tasks, then made to show its skill only rarely.

    python run_scripts/tiny_model/warm.py -o run_scripts/mini/warm_model      (about twenty minutes on two quiet cores)

A large base model solves many puzzles in some of its attempts and few in most of them, so reinforcement learning has
something to bring out. A tiny model that is stopped early in training lacks the skill itself, which a hundred steps do
not teach. So this one is trained until it has the skill, and then briefly on answers of which only a share is right;
the others are well-formed but wrong. No puzzle of `mt-grpo prepare` at seed 0 is shown in either part.
"""

import argparse
import re
import time
from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random

import make
import torch
from build import build_model, build_tokenizer
from measure import TASKS, measure

from data_prep import countdown
from data_prep.prepare import stream
from data_prep.puzzle import Puzzle
from reward_fns.scoring.arithmetic import evaluate, tokenize

COUNTDOWN, ARC, ZEBRA = TASKS


@dataclass(frozen=True)
class Phase:
    """Steps, highest learning rate, puzzles per step, and the share of right answers among those shown."""

    steps: int
    rate: float
    batch: dict[str, int]
    right: dict[str, float]


ALL_RIGHT = dict.fromkeys(TASKS, 1.0)
PHASES = (
    Phase(5000, 3e-3, {COUNTDOWN: 32, ARC: 20, ZEBRA: 20}, ALL_RIGHT),
    Phase(3000, 1.5e-3, {COUNTDOWN: 40, ARC: 8, ZEBRA: 32}, ALL_RIGHT),
    Phase(200, 1e-3, {COUNTDOWN: 20, ARC: 20, ZEBRA: 20}, {COUNTDOWN: 0.6, ARC: 0.02, ZEBRA: 0.7}),
)


def value(expression: str) -> object:
    """The expression's exact value; None where it divides by zero."""
    try:
        return evaluate(tokenize(expression))
    except ArithmeticError:
        return None


def countdown_puzzles(seed: int, held_out: Container[Hashable]) -> Iterator[Puzzle]:
    """Yield countdown puzzles endlessly: reasoning-gym's expressions with other numbers in them."""
    rng = Random(seed)
    limits = countdown.SIZES["mini"]
    expressions = [puzzle.solution for puzzle in islice(stream(COUNTDOWN, seed), 2000)]
    while True:
        expression = re.sub(r"\d+", lambda _: str(rng.randint(1, limits["max_value"])), rng.choice(expressions))
        target = value(expression)
        if not (isinstance(target, int) and 1 <= target <= limits["max_target"]):
            continue
        numbers = list(map(int, re.findall(r"\d+", expression)))
        if (*sorted(numbers), target) not in held_out:
            rng.shuffle(numbers)
            yield countdown.puzzle(
                "mini", {"metadata": {"numbers": numbers, "target": target, "expression": expression}}
            )


def blurred(task: str, puzzle: Puzzle, rng: Random) -> Puzzle:
    """The puzzle with a wrong answer of the right form: its parts in random order, operators at random."""
    answer = puzzle.solution
    for _ in range(50):  # a few puzzles have no wrong arrangement
        if task == COUNTDOWN:
            parts = str(puzzle.ground_truth["numbers"]).split(",")
            rng.shuffle(parts)
            answer = parts[0] + "".join(rng.choice("+-*/") + part for part in parts[1:])
            wrong = value(answer) != puzzle.ground_truth["target"]
        else:
            gap = " " if task == ARC else ""
            parts = puzzle.solution.split() if gap else list(puzzle.solution)
            rng.shuffle(parts)
            answer = gap.join(parts)
            wrong = answer != puzzle.solution
        if wrong:
            break
    return replace(puzzle, solution=answer)


def partly_right(task: str, puzzles: Iterator[Puzzle], share: float, rng: Random) -> Iterator[Puzzle]:
    """Yield the puzzles, a share of them with their own answers and the others with wrong ones."""
    for puzzle in puzzles:
        yield puzzle if rng.random() < share else blurred(task, puzzle, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7, help="of weights, batches and puzzles (%(default)s)")
    parser.add_argument("--report-every", type=int, default=500, metavar="STEPS", help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (%(default)s)")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    make.disable_progress_bar()
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    held_out, test = make.held_out_puzzles()
    start = time.monotonic()
    for number, phase in enumerate(PHASES):
        rng = Random(args.seed + number)
        shown = {task: make.demonstrations(task, args.seed + number, held_out) for task in (ARC, ZEBRA)}
        shown[COUNTDOWN] = countdown_puzzles(args.seed + number, held_out)
        shown = {task: partly_right(task, puzzles, phase.right[task], rng) for task, puzzles in shown.items()}
        taught = make.teach(model, tokenizer, shown, phase.batch, phase.rate, phase.steps)
        for step, _ in enumerate(taught, start=1):
            if step % args.report_every == 0 or step == phase.steps:
                for task in TASKS:
                    measured = measure(model, tokenizer, task, test[task])
                    took = time.monotonic() - start
                    print(f"phase {number + 1} step {step} {took:.0f} s  {task:15} {measured}", flush=True)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    main()
