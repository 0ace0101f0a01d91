"""Puzzles checked by means that did not make them: see `check_puzzles.py`, which also takes whole files."""

from itertools import islice
from random import Random

import arc_rules
import check_puzzles
import pytest
import zebra_solver
from reasoning_gym import create_dataset
from reasoning_gym.arc.arc_1d_tasks import ARC_1D_TASKS

from data_prep.prepare import Contents, prepare
from data_prep.tasks import stream

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ARC_1D_TASKS)
def test_every_arc_rule_is_applied_as_it_is_meant(name):
    generate, options = ARC_1D_TASKS[name]
    rng = Random(name)
    for length in (6, 10, 20, 30):
        pairs = [generate(rng, length, **options) for _ in range(25)]
        for pair in filter(None, pairs):
            assert arc_rules.RULES[name](pair["input"]) == pair["output"]


@pytest.mark.parametrize("length", [10, 20, 30])
def test_an_arc_puzzle_applies_the_one_rule_it_names(length):
    for item in islice(create_dataset("arc_1d", seed=9, min_size=length, max_size=length), 200):
        rule = arc_rules.RULES[item["metadata"]["task_name"]]
        for pair in [*item["metadata"]["train_examples"], item["metadata"]["test_example"]]:
            assert rule(pair["input"]) == pair["output"]


@pytest.mark.parametrize("size", ["mini", "mini2", "mini3", "easy", "medium", "hard"])
def test_a_rule_that_explains_the_examples_gives_the_target_of_an_arc_puzzle(size):
    for puzzle in islice(stream(f"arc-{size}", 4), 150):
        assert check_puzzles.arc_fault(puzzle.ground_truth, puzzle.prompt) is None, puzzle.prompt


@pytest.mark.parametrize("size", ["mini", "mini2", "mini3", "easy", "medium", "hard"])
def test_a_zebra_puzzle_has_exactly_the_solution_it_names(size):
    for puzzle in islice(stream(f"zebra-{size}", 4), {"medium": 15, "hard": 4}.get(size, 40)):
        assert check_puzzles.zebra_fault(puzzle.ground_truth, puzzle.prompt) is None, puzzle.prompt


def test_the_zebra_solver_finds_what_trying_everything_finds():
    """Also with clues taken away, which leaves several solutions."""
    for puzzle in islice(stream("zebra-easy", 6), 15):
        traits, clues = zebra_solver.read(puzzle.prompt)
        for kept in range(len(clues) + 1):
            some = (traits, clues[:kept])
            expected = zebra_solver.solutions_by_permutations(some)
            found = zebra_solver.solutions(some, at_most=1000)
            assert sorted(map(str, map(sorted, map(dict.items, found)))) == sorted(
                map(str, map(sorted, map(dict.items, expected)))
            )


def test_the_whole_file_is_checked(tmp_path, capsys):
    wanted = {"countdown-easy": 5, "countdown-mini": 5, "arc-easy": 5, "arc-mini": 5, "zebra-easy": 3, "zebra-mini": 3}
    paths = prepare(Contents(wanted, test=1, prompts="chat"), tmp_path).paths
    assert check_puzzles.main([str(path) for path in paths.values()]) == 0
    printed = capsys.readouterr().out
    assert "zebra-easy: 4 checked, 0 failed" in printed and "countdown-mini: 6 checked, 0 failed" in printed


def test_wrong_puzzles_are_found():
    arc = next(stream("arc-easy", 0))
    assert check_puzzles.arc_fault({"target": "9 9 9"}, arc.prompt) is not None
    zebra = next(stream("zebra-easy", 0))
    without = "\n".join(line for line in zebra.prompt.splitlines() if not line.startswith("1. "))
    assert check_puzzles.zebra_fault(zebra.ground_truth, without) is not None
    assert check_puzzles.zebra_fault({"target": "nobody"}, zebra.prompt) is not None
    countdown = next(stream("countdown-easy", 0))
    assert check_puzzles.countdown_fault({**countdown.ground_truth, "target": 7}, countdown.prompt) is not None
