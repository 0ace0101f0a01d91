"""Which function checks which task: `register` and the lookup behind `compute_score`.

A task is a file directly in this package; what the tasks share is in folders. The files are imported at the first
lookup, as are the entry points of group `mt_grpo.rewards` of installed packages, so there is no list to edit when a
task is added.
"""

import importlib
import inspect
import pkgutil
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from reward_fns.scoring.truth import read_target

ENTRY_POINT_GROUP = "mt_grpo.rewards"

CheckFn = TypeVar("CheckFn", bound=Callable[..., bool])
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


class RewardModuleError(ValueError):
    """A reward module cannot be imported: which, at what line, why, and what to do; `__cause__` is the first error."""


@dataclass(frozen=True)
class Task:
    """A registered task: `read_truth` validates the row's ground truth, `check` compares an answer with it."""

    name: str
    check: Callable[..., bool]
    read_truth: Callable[..., Any]

    @property
    def where(self) -> str:
        return f"{self.check.__module__}.{self.check.__qualname__}"


_tasks: dict[str, Task] = {}
_found: dict[str, Task] = {}  # by data_source, as far as looked up
_lock = threading.RLock()
_discovered = False


def register(*names: str, truth: Callable[..., Any] = read_target) -> Callable[[CheckFn], CheckFn]:
    """Decorator that makes `check(answer, truth, **context) -> bool` the judge of the tasks called `names`.

    `answer` is the text inside the response's final box, stripped and never empty. `truth` is what the function given
    as `truth=` made of the row's ground truth; the default passes its `target` as a string. `context` holds
    `data_source`, `extra_info` and whatever `reward_kwargs` sets.

    Whatever the truth function raises is reported as a fault of the data. Whatever the check raises is logged and
    counts as a wrong answer: no model response may end a training run. A check that returns anything but True or False
    is a fault of its own, and raises.

    Raises ValueError for a name that is taken or unusable, TypeError for a name that is no text (as in `@register`
    without parentheses) and for a function that cannot take the context.
    """
    if not names:
        raise ValueError('register() needs at least one task name: @register("my-task")')
    for name in names:
        _require_text(name)

    def decorate(check: CheckFn) -> CheckFn:
        for function in (check, truth):
            _require_context_parameter(function)
        with _lock:
            for name in names:
                if not _NAME.fullmatch(name):
                    raise ValueError(
                        f"{name!r} cannot name a reward task: use ASCII letters, digits, '_', '.' and inner '-'"
                    )
                task = Task(name, check, truth)
                if name in _tasks and not _imported_anew(_tasks[name], task):
                    raise ValueError(
                        f"reward task {name!r} is registered twice: by {_tasks[name].where} and by {task.where}; "
                        "rename one of them"
                    )
                _tasks[name] = task
                _found.clear()
        return check

    return decorate


def task_for(data_source: Any) -> Task:
    """The task with the longest name that equals `data_source`, or begins it and is followed by "-" or ":".

    `countdown-mini-train` and `countdown` are both the task `countdown`; `countdowns` is not.
    Raises ValueError, which lists the known names, where no task fits, and RewardModuleError as `known_tasks` does.
    """
    if not _discovered:
        known_tasks()
    name = data_source if isinstance(data_source, str) else ""
    task = _found.get(name)
    if task and _tasks.get(task.name) is task:
        return task
    while name:
        if name in _tasks:
            _found[data_source] = _tasks[name]
            return _tasks[name]
        name = name[: max(name.rfind("-"), name.rfind(":"), 0)]
    raise ValueError(
        f"no reward function for data_source {data_source!r}; known: {', '.join(sorted(known_tasks()))}. A data_source "
        'is a known name, alone or followed by "-" and anything. To add a task, write one file in reward_fns/ with a '
        f'function decorated by @register("name"), or an entry point of group {ENTRY_POINT_GROUP!r} in your own package'
    )


def known_tasks() -> Mapping[str, Task]:
    """All tasks by name, with every task file and entry point imported.

    Raises RewardModuleError, at every call, while one of them cannot be imported.
    """
    global _discovered
    with _lock:
        if not _discovered:
            _import_task_files()
            _load_entry_points()
            _discovered = True
        return dict(_tasks)


def _import_task_files() -> None:
    import reward_fns

    for module in pkgutil.iter_modules(reward_fns.__path__):
        if module.ispkg:
            continue
        name = f"reward_fns.{module.name}"
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            said = f"the reward module {name} cannot be imported: {_reason(name, error)}"
            raise RewardModuleError(f"{said}; {_remedy(error)}, or move the file out of reward_fns/") from error


def _load_entry_points() -> None:
    for entry_point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            entry_point.load()
        except (Exception, SystemExit) as error:
            reason = _reason(entry_point.value.partition(":")[0].strip(), error)
            raise RewardModuleError(
                f"the reward entry point {entry_point.name!r} = {entry_point.value!r} does not load: {reason}; "
                f"{_remedy(error)}, or uninstall the package that brings it"
            ) from error


def _reason(module: str, error: BaseException) -> str:
    """What went wrong while this module was imported, in one line: the place, if it is known, and the error."""
    place, text = "", str(error)
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        place, text = f"{error.filename}, line {error.lineno}: ", error.msg
    else:
        for frame, line in traceback.walk_tb(error.__traceback__):
            # The module's own code or that of a package around it, not what these call.
            if f"{module}.".startswith(f"{frame.f_globals.get('__name__')}."):
                place = f"{frame.f_code.co_filename}, line {line}: "
    return f"{place}{type(error).__name__}: {' '.join(text.split())}".rstrip(": ")


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install what brings {error.name!r}, correct the import"
    return "correct it"


def _imported_anew(known: Task, task: Task) -> bool:
    """Whether this is the known function from another import of its module, the first of which must have failed."""
    spaces = [getattr(inspect.unwrap(one.check), "__globals__", None) for one in (known, task)]
    return known.where == task.where and None not in spaces and spaces[0] is not spaces[1]


def _require_text(name: Any) -> None:
    if callable(name):
        where = f" above {name.__qualname__}" if hasattr(name, "__qualname__") else ""
        raise TypeError(f'@register{where} lacks the name of its task: write @register("my-task")')
    if not isinstance(name, str):
        raise TypeError(
            f"register() takes each task name as text of its own, and got {ascii(name)[:100]}: write "
            '@register("my-task"), or @register("my-task", "another") for two names'
        )


def _require_context_parameter(function: Callable[..., Any]) -> None:
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        raise TypeError(
            f"{function.__module__}.{function.__qualname__} must end in **context (data_source, extra_info and "
            "reward_kwargs arrive there): def check(answer, truth, **context) -> bool"
        )
