"""`compute_score`: from a response to its reward, with the same keys for every task."""

import logging
import threading
import traceback
from collections import Counter
from typing import Any

import numpy as np

from reward_fns.isolation import IsolatedCallError
from reward_fns.registry import Task, task_for
from reward_fns.scoring.extraction import extract_answer
from reward_fns.scoring.truth import as_fields

logger = logging.getLogger(__name__)

CORRECT_SCORE = 1.0
FORMAT_SCORE = 0.1

_failures: Counter[tuple[str, str, str]] = Counter()
"""How often checks have raised in this process, by data_source, type of the error, and place."""
_failures_lock = threading.Lock()


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
        ValueError: unknown `data_source`, or a ground truth its task cannot use; both are faults of the data. Also a
            reward module that cannot be imported (`reward_fns.registry.RewardModuleError`).
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
    except (Exception, SystemExit) as error:
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
    except (Exception, SystemExit) as error:  # sys.exit() in a check must not end the process that asks it
        _log_failure(task, context["data_source"], answer, error)
        return False
    if not isinstance(verdict, bool | np.bool_):
        # Taken for true or false, partial credit would become full marks, and a forgotten `return` always wrong.
        raise TypeError(
            f"reward task {task.name!r}: {task.where} must return True or False, and returned {_shortened(verdict)}. "
            "For partial credit, use a reward function of your own: reward.custom_reward_function.path"
        )
    return bool(verdict)


def _log_failure(task: Task, data_source: str, answer: str, error: BaseException) -> None:
    """Log the first failure of a kind with its traceback; later, at 10, 100, 1000, ..., how many there are."""
    kind = (data_source, type(error).__name__, _place(error))
    with _failures_lock:
        _failures[kind] += 1
        count = _failures[kind]
    what, where = f"reward task {task.name!r} ({task.where})", f"on data_source {data_source!r}"
    if count == 1:
        logger.error(
            "%s failed on the answer %s: counted as wrong. More failures of this kind %s are only counted",
            what,
            _shortened(answer),
            where,
            exc_info=error,
        )
    elif str(count).rstrip("0") == "1":
        how = f"{kind[1]} at {kind[2]}, last on the answer {_shortened(answer)}"
        logger.error("%s failed %d times in this process %s, each counted as wrong: %s", what, count, where, how)


def _place(error: BaseException) -> str:
    """The last line of a file that the error came through; generated code may have another name each time."""
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    name, line = [place for place in places if not place[0].startswith("<")][-1]
    return f"{name}:{line}"


def _shortened(value: Any) -> str:
    text = ascii(value)  # the log may not be able to print what a model wrote
    return text if len(text) <= 200 else text[:200] + "..."
