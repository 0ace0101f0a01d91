"""Every countdown is solvable, by a solver that shares nothing with the generator and is checked by brute force."""

from fractions import Fraction
from itertools import islice
from random import Random

import pytest

from data_prep.countdown_solver import solve
from data_prep.tasks import stream
from reward_fns import compute_score


def values_by_brute_force(values):
    """All values of all expressions: any two of them joined by any operation, again and again."""
    if len(values) == 1:
        return {values[0]}
    found = set()
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            if i != j:
                rest = [value for at, value in enumerate(values) if at not in (i, j)]
                for joined in [a + b, a - b, a * b, *([a / b] if b else [])]:
                    found |= values_by_brute_force([*rest, joined])
    return found


@pytest.mark.parametrize(("count", "trials"), [(1, 3), (2, 20), (3, 20), (4, 3)])
def test_the_solver_finds_exactly_what_brute_force_finds(count, trials):
    rng = Random(count)
    for _ in range(trials):
        numbers = [rng.randint(0, 12) for _ in range(count)]
        reachable = values_by_brute_force([Fraction(number) for number in numbers])
        for target in range(-5, 40):
            assert (solve(numbers, target) is not None) == (target in reachable), (numbers, target)


@pytest.mark.parametrize("size", ["mini", "mini2", "mini3", "easy", "medium", "hard"])
def test_every_puzzle_is_solvable_and_the_solution_scores_one(size):
    for puzzle in islice(stream(f"countdown-{size}", 5), 60):
        numbers = [int(number) for number in puzzle.ground_truth["numbers"].split(",")]
        expression = solve(numbers, puzzle.ground_truth["target"])
        assert expression is not None, puzzle
        assert compute_score("countdown", rf"\boxed{{{expression}}}", puzzle.ground_truth)["score"] == 1.0


def test_six_numbers_and_a_group_worth_nothing():
    for numbers, target in [([3, 3, 50, 1, 7, 7], 1), ([5, 5, 8, 8, 9], 0), ([97, 89, 83, 79, 73, 71], 492)]:
        expression = solve(numbers, target)
        truth = {"numbers": numbers, "target": target}
        assert compute_score("countdown", rf"\boxed{{{expression}}}", truth)["score"] == 1.0
    assert solve([1, 1, 1, 1, 1], 99) is None
