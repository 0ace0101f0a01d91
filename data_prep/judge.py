"""Asks a row's reward function about an answer, so that what somebody's own check raises is seen.

`compute_score` logs what a check raises and counts the answer as wrong: no model response may end a training run.
"""

import traceback
from pathlib import Path
from typing import Any

from data_prep.gold import is_own
from data_prep.sources import shown
from reward_fns import compute_score, extract_answer
from reward_fns.registry import Task
from reward_fns.scoring.truth import as_fields

GUESSES = ("0", "a", "[0]")
"""Answers for a check of which no right answer is known; most of those that read text can read one of them."""


class CheckRaised(Exception):
    """A task's check raised; the message is one line, and `kind` the name of the exception's class."""

    def __init__(self, task: Task, answers: str, error: BaseException) -> None:
        self.kind = type(error).__name__
        text = (str(error).strip().splitlines() or [""])[0].encode("ascii", "backslashreplace").decode()[:200]
        frame = traceback.extract_tb(error.__traceback__)[-1]
        super().__init__(
            f"the check of task {task.name!r} ({task.where}) raised on {answers}: {self.kind}: {text} "
            f"({Path(frame.filename).name}, line {frame.lineno})"
        )


def is_right(task: Task, response: str, row: dict[str, Any]) -> bool:
    """Whether `response` scores 1.0.

    Args:
        task: the reward task of the row.
        response: an answer in a box or in tags.
        row: a row whose ground truth the task can read.

    Raises:
        CheckRaised: the check of somebody's own task raised.
        TypeError: it returned something other than True or False.
    """
    source, truth, info = row["data_source"], row["reward_model"]["ground_truth"], row.get("extra_info")
    answer = extract_answer(response)
    if is_own(task) and answer is not None:
        context = {"data_source": source, "extra_info": info}
        wanted = task.read_truth(as_fields(truth), **context)
        try:
            verdict = task.check(answer, wanted, **context)
        except (Exception, SystemExit) as error:
            raise CheckRaised(task, shown(answer), error) from error
        if isinstance(verdict, bool):
            return verdict
    return compute_score(source, response, truth, info)["score"] == 1.0


def require_a_verdict(task: Task, row: dict[str, Any]) -> None:
    """Ask somebody's own check about answers that are likely wrong.

    Raises:
        CheckRaised: it raised on each of them.
        TypeError: it returned something other than True or False.
    """
    raised = None
    for guess in GUESSES:
        try:
            is_right(task, rf"\boxed{{{guess}}}", row)
        except CheckRaised as error:
            raised = error.__cause__
        else:
            return
    assert raised is not None
    raise CheckRaised(task, f"each of {', '.join(map(shown, GUESSES))}", raised)
