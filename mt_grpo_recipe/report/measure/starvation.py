"""Tasks that starve: asked for step after step, but never trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.metrics import BATCH_SHARE, TARGET_SHARE
from mt_grpo_recipe.report.measure.audit import NOT_ENDED, fates
from mt_grpo_recipe.report.read.log import Run

ADVICE = {
    "all right": "it is solved, so give it harder prompts or less weight",
    "all wrong": "it is out of reach, so give it easier prompts, or warm the policy up on it",
    "all alike": "its rewards do not tell its answers apart, so grade them more finely, or give it other prompts",
    "failed": "the log of the rollout workers has the exceptions",
    "informative, not trained on": "the batch was full of others, or they had become too old",
    NOT_ENDED: "they were too slow, so shorten the answers, or let a step wait for them",
}
"""What groups of a starved task end as -> what that means, and what to do if most of them did."""


@dataclass(frozen=True)
class Starvation:
    """A stretch of steps in which a task was asked for and trained on nothing that carries a gradient.

    Attributes:
        task: its name.
        first: the first step of the stretch in which it was asked for.
        last: the last one.
        asked: how many steps of the stretch asked for it.
        lasts: whether nothing of it has been trained on since.
        fates: what its groups ended as, in groups, as `measure.audit.fates` counts them; empty where the log does not
            say.
    """

    task: str
    first: int
    last: int
    asked: int
    lasts: bool
    fates: dict[str, float]

    def sentence(self) -> str:
        """What is wrong, why, and what can be done, in words."""
        if self.lasts:
            begin = f"{self.task} is starved: {self.asked} steps from step {self.first} on asked for it"
        else:
            begin = f"{self.task} was starved: {self.asked} of the steps {self.first} to {self.last} asked for it"
        return f"{begin} and none trained on a group of it with a gradient. {self._reason()}"

    def _reason(self) -> str:
        if not self.fates:
            return "The log does not say what came of its groups."
        counts = {fate: round(count) for fate, count in self.fates.items() if fate in ADVICE and round(count)}
        if not counts:
            return "No group of it was generated: the budget of the steps went to other tasks."
        largest = sorted(counts, key=counts.__getitem__, reverse=True)
        said = ", ".join(f"{counts[fate]} {fate}" for fate in largest)
        return f"Its groups: {said}; {ADVICE[largest[0]]}."


def starvations(run: Run, patience: int) -> list[Starvation]:
    """Tasks that starve or have starved: for each the stretch that lasts, or else its longest.

    Args:
        run: the run.
        patience: a task counts as starved after this many steps that ask for it and train on nothing of it.
    """
    found = []
    for task in run.trained_tasks:
        stretches = [stretch for stretch in _stretches(run, task) if stretch.asked >= patience]
        lasting = [stretch for stretch in stretches if stretch.lasts]
        if stretches:
            found.append(lasting[0] if lasting else max(stretches, key=lambda stretch: stretch.asked))
    return found


def _stretches(run: Run, task: str) -> list[Starvation]:
    target, got = run.series(TARGET_SHARE.of(task)), run.series(BATCH_SHARE.of(task))
    fed = got.steps[got.values > 0]
    asked = target.steps[target.values > 0]
    # A stretch lies between two steps that trained on the task.
    of_asked = np.searchsorted(fed, asked)
    unfed = ~np.isin(asked, fed)
    found = []
    for stretch in np.unique(of_asked[unfed]).tolist():
        steps = asked[unfed & (of_asked == stretch)]
        first, last = int(steps[0]), int(steps[-1])
        until = last if stretch < len(fed) else int(run.train_steps[-1])
        spanned = run.train_steps[(run.train_steps >= first) & (run.train_steps <= until)]
        found.append(Starvation(task, first, last, len(steps), stretch == len(fed), fates(run, task, spanned)))
    return found
