"""Groups of rollouts: puzzles answered and scored, and the batch that the sampler makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from puzzles import Puzzle
from tokens import generate
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mt_grpo_recipe.algorithm.accuracy import accuracy_of, judged_number
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import judge
from mt_grpo_recipe.algorithm.objective import has_spread
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.settings import RewardSettings, SamplerSettings
from mt_grpo_recipe.history.record import Timeline
from reward_fns import compute_score


@dataclass(frozen=True)
class Group:
    """The rollouts of one puzzle."""

    puzzle: Puzzle
    answers_G: list[list[int]]
    """Token ids of each rollout."""
    rewards_G: list[float]
    accuracy_G: list[float]

    @property
    def accuracy(self) -> float:
        """Mean accuracy of the rollouts."""
        return fmean(self.accuracy_G)

    @property
    def has_gradient(self) -> bool:
        """Whether its advantages differ from zero."""
        return has_spread(self.rewards_G)


@dataclass(frozen=True)
class Engine:
    """Answers puzzles and scores the answers.

    Attributes:
        model: the policy, updated in place by others.
        tokenizer: the policy's.
        max_tokens: most tokens of an answer.
        generator: source of the draws.
        rewards: the section `mt_grpo.rewards`.
        puzzles_at_once: most puzzles in one forward pass.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_tokens: int
    generator: torch.Generator
    rewards: RewardSettings
    puzzles_at_once: int = 64

    def roll_out(self, puzzles: Sequence[Puzzle], answers_each: int, temperature: float) -> list[Group]:
        """Give each puzzle this number of answers; one group per puzzle, in their order."""
        groups = []
        for start in range(0, len(puzzles), self.puzzles_at_once):
            part = puzzles[start : start + self.puzzles_at_once]
            prompts = [puzzle.prompt for puzzle in part]
            answers = generate(self.model, prompts, answers_each, self.max_tokens, temperature, self.generator)
            groups += [self._judge(puzzle, answers_G) for puzzle, answers_G in zip(part, answers, strict=True)]
        return groups

    def _judge(self, puzzle: Puzzle, answers_G: list[list[int]]) -> Group:
        texts = self.tokenizer.batch_decode(answers_G, skip_special_tokens=True)
        scores = [compute_score(puzzle.data_source, text, puzzle.ground_truth, puzzle.extra_info) for text in texts]
        return Group(
            puzzle,
            answers_G,
            [score["score"] for score in scores],
            [accuracy_of(judged_number(score["score"], score["acc"]), self.rewards) for score in scores],
        )


def fill_batch(
    controller: TaskController,
    settings: SamplerSettings,
    roll_out: Callable[[list[int]], list[Group]],
    timeline: Timeline,
) -> tuple[Selection, list[Group]]:
    """Run one step's sampler, and tell the controller what it brought.

    All groups that the sampler asks for at one time end together, in one tick.

    Args:
        controller: between two steps.
        settings: the section `mt_grpo.sampler`.
        roll_out: tasks -> a group of each, in this order.
        timeline: empty; gets the step's groups.

    Returns:
        What the sampler chose, and the groups of the batch.
    """
    sampler = controller.begin_step()
    groups: list[Group] = []
    while not sampler.done:
        asked = roll_out(sampler.ask())
        timeline.launch(len(asked))
        timeline.end(range(len(groups), len(groups) + len(asked)), tick=0)
        for group in asked:
            tokens = sum(map(len, group.answers_G))
            sampler.tell(len(groups), judge(group.rewards_G, group.accuracy_G, settings, tokens))
            groups.append(group)
    selection = sampler.select()
    controller.observe(selection)
    return selection, [groups[launch_id] for launch_id in selection.launch_ids]
