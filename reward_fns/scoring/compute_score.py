"""`compute_score`: from a response to its reward, with the same keys for every task."""

import logging
from typing import Any

import numpy as np

from reward_fns.isolation import IsolatedCallError
from reward_fns.registry import Task, task_for
from reward_fns.scoring.extraction import extract_answer
from reward_fns.scoring.truth import as_fields

logger = logging.getLogger(__name__)

CORRECT_SCORE = 1.0
FORMAT_SCORE = 0.1


def compute_score(
    data_source: str, solution_str: Any, ground_truth: Any, extra_info: Any = None, **kwargs: Any
) -> dict[str, float]:
    """Judge one response; the function that verl calls.

    Args:
        data_source: the row's task, such as `countdown-medium-train`; see `reward_fns.registry.task_for`.
        solution_str: the decoded response; nothing in it can raise an error.
        ground_truth: the row's truth, in one of the forms `reward_fns.scoring.truth.as_fields` reads.
        extra_info: the row's `extra_info`, handed to the task.
        kwargs: `reward_kwargs` of the configuration, handed to the task.

    Returns:
        `score`: 1.0 correct, 0.1 wrong but well-formed, 0.0 otherwise; `acc`: 1.0 or 0.0, correct or not;
        `format`: 1.0 or 0.0, whether an answer could be extracted.

    Raises:
        ValueError: unknown `data_source`, or a ground truth its task cannot use; both are faults of the data.
        ImportError: the task needs a package that is not installed.
        TypeError: the task's check returned something other than True or False.
    """
    task = task_for(data_source)
    context = {**kwargs, "data_source": data_source, "extra_info": extra_info}
    try:
        # Before the answer is read, so that a bad row is found whatever the model wrote.
        truth = task.read_truth(as_fields(ground_truth), **context)
    except ImportError:  # a package is missing: neither the data's fault nor the model's
        raise
    except Exception as error:
        raise ValueError(
            f"data_source {data_source!r}: bad ground_truth {_shortened(ground_truth)}: {error}. Fix or drop the row"
        ) from error

    answer = extract_answer(solution_str)
    if answer is None:
        return {"score": 0.0, "acc": 0.0, "format": 0.0}
    if _is_correct(task, answer, truth, context):
        return {"score": CORRECT_SCORE, "acc": 1.0, "format": 1.0}
    return {"score": FORMAT_SCORE, "acc": 0.0, "format": 1.0}


def _is_correct(task: Task, answer: str, truth: Any, context: dict[str, Any]) -> bool:
    try:
        verdict = task.check(answer, truth, **context)
    except ImportError:
        raise
    except IsolatedCallError as error:
        logger.warning("reward task %r on the answer %s: %s; counted as wrong", task.name, _shortened(answer), error)
        return False
    except Exception:
        logger.exception(
            "reward task %r (%s) failed on the answer %s: counted as wrong", task.name, task.where, _shortened(answer)
        )
        return False
    if not isinstance(verdict, bool | np.bool_):
        # Taken for true or false, partial credit would become full marks, and a forgotten `return` always wrong.
        raise TypeError(
            f"reward task {task.name!r}: {task.where} must return True or False, and returned {_shortened(verdict)}. "
            "For partial credit, use a reward function of your own: reward.custom_reward_function.path"
        )
    return bool(verdict)


def _shortened(value: Any) -> str:
    text = ascii(value)  # the log may not be able to print what a model wrote
    return text if len(text) <= 200 else text[:200] + "..."
