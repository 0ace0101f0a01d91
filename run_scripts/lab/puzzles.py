"""The puzzles of `mt-grpo prepare` as prompts, and the order in which a run goes through them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from mt_grpo_recipe.config import ConfigError


@dataclass(frozen=True)
class Puzzle:
    """A prompt in tokens, and what its reward function takes."""

    row: int
    """Number of its row in the file."""
    task: str
    prompt: list[int]
    data_source: str
    ground_truth: Any
    extra_info: dict[str, Any]


def read_puzzles(file: Path, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[Puzzle]]:
    """Puzzles of each task, tasks in order of first appearance.

    Raises:
        ConfigError: the file is not there; the message says how to make it.
    """
    if not file.exists():
        raise ConfigError(
            f"{file} is not there. Make the miniature's puzzles: mt-grpo prepare "
            f"--tasks countdown:mini,arc:mini,zebra:mini --train 1900 --test 200 --seed 0 -o {file.parent}"
        )
    puzzles: dict[str, list[Puzzle]] = {}
    for number, row in enumerate(pq.read_table(file).to_pylist()):
        prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=True)["input_ids"]
        task = row["extra_info"]["task"]
        truth = row["reward_model"]["ground_truth"]
        puzzle = Puzzle(number, task, prompt, row["data_source"], truth, row["extra_info"])
        puzzles.setdefault(task, []).append(puzzle)
    return puzzles


def of_tasks(puzzles: dict[str, list[Puzzle]], tasks: list[str] | None) -> dict[str, list[Puzzle]]:
    """The puzzles of these tasks, in this order; None: all.

    Raises:
        ConfigError: a task has no puzzles.
    """
    unknown = [task for task in tasks or [] if task not in puzzles]
    if unknown:
        raise ConfigError(f"mt_grpo.tasks names {unknown}, of which there are no puzzles; there are {list(puzzles)}.")
    return {task: puzzles[task] for task in tasks or puzzles}


class PuzzleOrder:
    """Hands out the puzzles of each task in a seeded random order, and in a new one once all are used.

    The orders are those of the plugin's loader: the same seed gives the same puzzles in the same order.

    Args:
        puzzles_K: puzzles of each task.
        seed: `mt_grpo.seed`.
    """

    def __init__(self, puzzles_K: list[list[Puzzle]], seed: int):
        self._puzzles_K = puzzles_K
        self._seed = seed
        self._drawn_K = [0] * len(puzzles_K)
        self._order_K: list[list[int]] = [[] for _ in puzzles_K]

    def draw(self, task: int) -> Puzzle:
        """The task's next puzzle."""
        puzzles = self._puzzles_K[task]
        epoch, position = divmod(self._drawn_K[task], len(puzzles))
        if position == 0:
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, 1, task, epoch]))
            self._order_K[task] = rng.permutation(len(puzzles)).tolist()
        self._drawn_K[task] += 1
        return puzzles[self._order_K[task][position]]
