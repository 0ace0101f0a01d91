"""The puzzles of each family and size: solvable, of the released data's dimensions, and short where they must be."""

import re
from itertools import islice

import pytest

from data_prep import arc, countdown, zebra
from data_prep.puzzle import MINI
from data_prep.tasks import FAMILIES, TASKS, stream
from reward_fns import compute_score

FAST_TASKS = [task for task in TASKS if task not in ("zebra-medium", "zebra-hard")]  # these take up to 0.3 s per puzzle


def some(task: str, count: int, seed: int = 0) -> list:
    return list(islice(stream(task, seed), count))


@pytest.mark.parametrize("task", FAST_TASKS)
def test_the_solution_of_every_puzzle_scores_one(task):
    for puzzle in some(task, 20):
        response = f"Here is why. \\boxed{{{puzzle.solution}}}"
        assert compute_score(f"{task}-train", response, puzzle.ground_truth)["acc"] == 1.0, puzzle


@pytest.mark.parametrize("task", FAST_TASKS)
def test_the_prompt_is_raw_text_with_one_assistant_turn(task):
    for puzzle in some(task, 5):
        assert puzzle.prompt == puzzle.prompt.strip()
        assert puzzle.prompt.count("Assistant:") == (0 if "mini" in task else 1)
        assert puzzle.prompt.endswith("Let us go step by step.") != ("mini" in task)


@pytest.mark.parametrize("size", MINI)
@pytest.mark.parametrize("family", FAMILIES)
def test_mini_puzzles_fit_a_character_level_model(family, size):
    for puzzle in some(f"{family}-{size}", 50):
        assert len(puzzle.prompt) <= (60 if size == "mini" else 64)
        assert len(puzzle.solution) <= (12 if size == "mini" else 19)
        assert puzzle.prompt.isascii()


@pytest.mark.parametrize("size", countdown.SIZES)
def test_countdown_numbers_and_target_are_in_range(size):
    limits = countdown.SIZES[size]
    targets = set()
    for puzzle in some(f"countdown-{size}", 100):
        numbers = [int(number) for number in puzzle.ground_truth["numbers"].split(",")]
        assert len(numbers) == limits["numbers"]
        assert min(numbers) >= 1 and max(numbers) <= limits["max_value"]
        assert 1 <= puzzle.ground_truth["target"] <= limits["max_target"]
        targets.add(puzzle.ground_truth["target"] < 100)
    assert targets == ({True} if limits["max_target"] < 100 else {True, False})


@pytest.mark.parametrize("size", arc.SIZES)
def test_arc_rows_have_the_length_of_their_size(size):
    length = {"mini": 6, "mini2": 8, "mini3": 10, "easy": 10, "medium": 20, "hard": 30}[size]
    for puzzle in some(f"arc-{size}", 50):
        answer = puzzle.ground_truth["target"]
        assert re.fullmatch(r"\d( \d)*", answer)
        assert len(re.findall(r"\d", answer)) == length
        digits = len(re.findall(r"\d", puzzle.prompt.replace("Example 1", "").replace("Example 2", "")))
        examples = 2 if size in MINI else 3
        assert digits == (2 * examples + 1) * length + (size not in MINI)  # "Example 3" keeps its number


def test_arc_copying_the_input_is_seldom_right():
    copied = sum(puzzle.prompt[-8:-2] == puzzle.solution.replace(" ", "") for puzzle in some("arc-mini", 1000))
    assert copied / 1000 < 0.15


@pytest.mark.parametrize("size", ["easy", "medium"])
def test_zebra_names_the_people_of_its_size(size):
    houses = {"easy": 3, "medium": 4}[size]
    for puzzle in some(f"zebra-{size}", 12):
        names = re.search(r"unique name: (.*)", puzzle.prompt).group(1).split(", ")
        assert len(names) == houses
        assert puzzle.ground_truth["target"] in names
        assert "House 1?" in puzzle.prompt and "??" not in puzzle.prompt


# Measured on the files released with the paper: 10,000 rows per size of countdown, 200 of zebra and arc.
# task: (shortest, mean and longest prompt in characters, what `trait` gives: mean, and how far off a sample may be)
RELEASED = {
    "countdown-easy": (493, 497, 500, 0.055, 0.025),
    "countdown-medium": (496, 501, 504, 0.118, 0.035),
    "countdown-hard": (499, 505, 508, 0.206, 0.045),
    "arc-easy": (881, 881, 881, 0.085, 0.05),
    "arc-medium": (1021, 1021, 1021, 0.025, 0.03),
    "arc-hard": (1161, 1161, 1161, 0.02, 0.03),
    "zebra-easy": (971, 1100, 1294, 5.0, 0.4),
    "zebra-medium": (1270, 1477, 1711, 9.6, 0.8),
    "zebra-hard": (1686, 1971, 2406, 15.4, 1.5),
}
SAMPLE = {"countdown": 1000, "arc": 400}
ZEBRA_SAMPLE = {"easy": 60, "medium": 20, "hard": 6}


def trait(puzzle, family: str) -> float:
    """Of countdown and arc, whether a number comes twice and whether the answer is the input; of zebra, the clues."""
    if family == "countdown":
        numbers = puzzle.ground_truth["numbers"].split(",")
        return len(set(numbers)) < len(numbers)
    if family == "arc":
        return puzzle.key[-1] == puzzle.solution
    return len(re.findall(r"^\d+\. ", puzzle.prompt, flags=re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize("task", RELEASED)
def test_rows_are_like_the_released_ones(task):
    family, size = task.split("-")
    shortest, mean, longest, expected, margin = RELEASED[task]
    puzzles = some(task, SAMPLE[family] if family in SAMPLE else ZEBRA_SAMPLE[size], seed=1)
    lengths = [len(puzzle.prompt) for puzzle in puzzles]
    assert sum(lengths) / len(lengths) == pytest.approx(mean, rel=0.01 if family in SAMPLE else 0.05)
    assert shortest * 0.95 <= min(lengths) and max(lengths) <= longest * 1.05
    assert sum(trait(puzzle, family) for puzzle in puzzles) / len(puzzles) == pytest.approx(expected, abs=margin)


def test_sizes_are_those_of_the_released_data():
    released = ("easy", "medium", "hard")
    limits = [countdown.SIZES[size] for size in released]
    assert limits == [{"numbers": count, "max_value": 100, "max_target": 1000} for count in (3, 4, 5)]
    assert [zebra.SIZES[size] for size in released] == [(3, 3), (4, 4), (5, 5)]
    assert [arc.SIZES[size] for size in released] == [10, 20, 30]
