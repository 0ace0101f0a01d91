"""Whether rows name their task in the field where a run looks for it."""

from collections.abc import Iterator
from typing import Any

from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.verl_plugin.task_loader import task_name

TASK_KEY = ("extra_info.task",)
"""The default of `mt_grpo.task_key`."""
RELEASED = "type"
"""The field of `extra_info` that names the task in the data released with the paper, alone or after `difficulty`."""


class TaskFields:
    """What the rows of one file name as their task."""

    def __init__(self) -> None:
        self._lacking: list[int] = []
        self._rows = 0
        self._released = True

    def read(self, number: int, info: Any) -> str | None:
        """Take note of a row's `extra_info`; return what is wrong with the task that it names."""
        fields = info if isinstance(info, dict) else {}
        self._rows += 1
        self._released = self._released and fields.get(RELEASED) is not None
        if fields.get("task") is None:
            self._lacking.append(number)
            return None
        try:
            task_name({"extra_info": fields}, TASK_KEY)
        except ConfigError as error:
            return str(error)
        return None

    def lacking(self) -> Iterator[tuple[int | None, str]]:
        """After the last row: each row without a task, or None for the file as a whole, and the reason."""
        advice = "Fill it in, or name fields that every row has with mt_grpo.task_key"
        if len(self._lacking) < self._rows:
            for number in self._lacking:
                yield number, f"it has no extra_info.task, which other rows have. {advice}"
        elif self._rows and not self._released:
            yield None, f"no row has extra_info.task, where a run looks for the row's task. {advice}"
