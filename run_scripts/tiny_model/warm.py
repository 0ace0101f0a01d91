"""Make a warm model of the miniature comparison: taught the mini tasks, then made to show its skill only rarely.

    python run_scripts/tiny_model/warm.py three -o run_scripts/mini/warm_model     (about 20 minutes on two quiet cores)
    python run_scripts/tiny_model/warm.py nine -o run_scripts/mini/warm_model_nine     (about 15, on one core)

A large base model solves many puzzles in some of its attempts and few in most of them, so reinforcement learning has
something to bring out. A tiny model that is stopped early in training lacks the skill itself, which a hundred steps do
not teach. So this one is trained until it has the skill, and then briefly on answers of which only a share is right;
the others are well-formed but wrong. Neither part shows the first puzzles of `mt-grpo prepare` at seed 0: 2,100 of each
of three tasks, 1,400 of each of nine.
"""

import argparse
import re
import time
from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import TypeVar

import make
import torch
from build import build_model, build_tokenizer
from measure import TASKS, measure
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep import countdown
from data_prep.prepare import stream
from data_prep.puzzle import MINI, Puzzle
from reward_fns.scoring.arithmetic import evaluate, tokenize

COUNTDOWN, ARC, ZEBRA = TASKS
NINE = tuple(f"{family}-{size}" for family in ("countdown", "arc", "zebra") for size in MINI)


@dataclass(frozen=True)
class Phase:
    """Steps, highest learning rate, puzzles per step, and the share of right answers among those shown."""

    steps: int
    rate: float
    batch: dict[str, int]
    right: dict[str, float]


@dataclass(frozen=True)
class Recipe:
    """Phases from a model that is there, or from a new one, and how many training puzzles of each task are held out."""

    phases: tuple[Phase, ...]
    held_out: int
    start: Path | None = None

    @property
    def tasks(self) -> list[str]:
        """All that are shown."""
        return list(self.phases[0].batch)


Value = TypeVar("Value", int, float)


def of_nine(*values: Value) -> dict[str, Value]:
    """One value for each of the nine tasks."""
    return dict(zip(NINE, values, strict=True))


ALL_RIGHT = dict.fromkeys(NINE, 1.0)
RECIPES = {
    "three": Recipe(
        (
            Phase(5000, 3e-3, {COUNTDOWN: 32, ARC: 20, ZEBRA: 20}, ALL_RIGHT),
            Phase(3000, 1.5e-3, {COUNTDOWN: 40, ARC: 8, ZEBRA: 32}, ALL_RIGHT),
            Phase(200, 1e-3, {COUNTDOWN: 20, ARC: 20, ZEBRA: 20}, {COUNTDOWN: 0.6, ARC: 0.02, ZEBRA: 0.7}),
        ),
        held_out=make.RL_TRAIN,
    ),
    "nine": Recipe(
        (
            Phase(4000, 2e-3, of_nine(10, 10, 12, 6, 6, 6, 8, 10, 10), ALL_RIGHT),
            Phase(1000, 1.2e-3, of_nine(10, 10, 30, 4, 4, 4, 8, 8, 12), ALL_RIGHT),
            Phase(200, 1e-3, dict.fromkeys(NINE, 12), of_nine(0.6, 0.5, 0.6, 0.1, 0.02, 0.02, 0.7, 0.5, 0.7)),
        ),
        held_out=1300,
        start=Path(__file__).resolve().parents[1] / "mini" / "warm_model",
    ),
}


def value(expression: str) -> object:
    """The expression's exact value; None where it divides by zero."""
    try:
        return evaluate(tokenize(expression))
    except ArithmeticError:
        return None


def countdown_puzzles(task: str, seed: int, held_out: Container[Hashable]) -> Iterator[Puzzle]:
    """Yield countdown puzzles endlessly: reasoning-gym's expressions with other numbers in them."""
    rng = Random(seed)
    size = task.partition("-")[2]
    limits = countdown.SIZES[size]
    expressions = [puzzle.solution for puzzle in islice(stream(task, seed), 2000)]
    while True:
        expression = re.sub(r"\d+", lambda _: str(rng.randint(1, limits["max_value"])), rng.choice(expressions))
        target = value(expression)
        if not (isinstance(target, int) and 1 <= target <= limits["max_target"]):
            continue
        numbers = list(map(int, re.findall(r"\d+", expression)))
        if (*sorted(numbers), target) not in held_out:
            rng.shuffle(numbers)
            yield countdown.puzzle(size, {"metadata": {"numbers": numbers, "target": target, "expression": expression}})


def blurred(task: str, puzzle: Puzzle, rng: Random) -> Puzzle:
    """The puzzle with a wrong answer of the right form: its parts in random order, operators at random."""
    answer = puzzle.solution
    for _ in range(50):  # a few puzzles have no wrong arrangement
        if task.startswith("countdown"):
            parts = str(puzzle.ground_truth["numbers"]).split(",")
            rng.shuffle(parts)
            answer = parts[0] + "".join(rng.choice("+-*/") + part for part in parts[1:])
            wrong = value(answer) != puzzle.ground_truth["target"]
        else:
            gap = " " if task.startswith("arc") else ""
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


def shown_in(phase: Phase, seed: int, held_out: Container[Hashable]) -> dict[str, Iterator[Puzzle]]:
    """The puzzles of each task that a phase shows, endlessly."""
    rng, shown = Random(seed), {}
    for task in phase.batch:
        source = countdown_puzzles if task.startswith("countdown") else make.demonstrations
        shown[task] = partly_right(task, source(task, seed, held_out), phase.right[task], rng)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES, help="by the number of its tasks")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7, help="of weights, batches and puzzles (%(default)s)")
    parser.add_argument("--report-every", type=int, default=500, metavar="STEPS", help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (%(default)s)")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    make.disable_progress_bar()
    recipe = RECIPES[args.recipe]
    if recipe.start is None:
        tokenizer = build_tokenizer()
        model = build_model(tokenizer)
    else:
        tokenizer = AutoTokenizer.from_pretrained(recipe.start)
        model = AutoModelForCausalLM.from_pretrained(recipe.start, dtype=torch.float32)
    held_out, test = make.held_out_puzzles(recipe.tasks, recipe.held_out)
    start = time.monotonic()
    for number, phase in enumerate(recipe.phases):
        shown = shown_in(phase, args.seed + number, held_out)
        taught = make.teach(model, tokenizer, shown, phase.batch, phase.rate, phase.steps)
        for step, _ in enumerate(taught, start=1):
            if step % args.report_every == 0 or step == phase.steps:
                for task in recipe.tasks:
                    measured = measure(model, tokenizer, task, test[task])
                    took = time.monotonic() - start
                    print(f"phase {number + 1} step {step} {took:.0f} s  {task:15} {measured}", flush=True)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    main()
