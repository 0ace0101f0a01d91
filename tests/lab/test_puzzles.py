"""The laboratory asks the same puzzles in the same order as a verl run of the same seed."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from puzzles import PuzzleOrder, of_tasks, read_puzzles

from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.verl_plugin.task_loader import TaskLoader, group_rows


def test_puzzles_are_the_rows_of_the_file(data, puzzles, tokenizer):
    rows = pq.read_table(data / "train.parquet").to_pylist()
    assert list(puzzles) == ["countdown-mini", "arc-mini", "zebra-mini"]
    assert [p.extra_info["index"] for rows_of in puzzles.values() for p in rows_of] == [
        row["extra_info"]["index"] for row in rows
    ]
    first = puzzles["countdown-mini"][0]
    assert tokenizer.decode(first.prompt) == rows[0]["prompt"][0]["content"] + "\n>"


def test_the_order_is_the_loader_s(puzzles):
    names = [task for task, rows in puzzles.items() for _ in rows]
    rows_of = group_rows(names, None)
    loader = TaskLoader(rows_of, lambda row: {"row": row}, lambda rows: rows[0], seed=5, digest_of={})
    order = PuzzleOrder(list(puzzles.values()), seed=5)
    all_puzzles = [puzzle for rows in puzzles.values() for puzzle in rows]
    for task in np.random.default_rng(0).integers(0, 3, 100).tolist():
        assert order.draw(task) is all_puzzles[loader.next_row(task)]


def test_tasks_can_be_chosen_and_unknown_ones_are_named(puzzles):
    assert list(of_tasks(puzzles, ["zebra-mini", "arc-mini"])) == ["zebra-mini", "arc-mini"]
    with pytest.raises(ConfigError, match="'sudoku'"):
        of_tasks(puzzles, ["sudoku"])


def test_a_missing_file_says_how_to_make_it(tmp_path, tokenizer):
    with pytest.raises(ConfigError, match="mt-grpo prepare --tasks countdown:mini"):
        read_puzzles(tmp_path / "train.parquet", tokenizer)
