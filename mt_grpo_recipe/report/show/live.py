"""A run while it trains: a view for the terminal, and one line per step."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mt_grpo_recipe.metrics import ACCURACY, AVERAGE_ACCURACY, WEIGHT, WORST_TASK_ACCURACY
from mt_grpo_recipe.report.measure.accuracy import mean_accuracy, worst_accuracy
from mt_grpo_recipe.report.measure.progress import (
    LAST_STEPS,
    Progress,
    TaskProgress,
    lost_sentence,
    progress_of,
    seconds_for,
    total_steps,
)
from mt_grpo_recipe.report.read.decisions import PLACES, last_decided_step
from mt_grpo_recipe.report.read.joining import STEP_SECONDS
from mt_grpo_recipe.report.read.log import Run, Series
from mt_grpo_recipe.report.show.tables import EMPTY, duration

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = ".:-=+*#@"
"""In place of the blocks, from the lowest to the highest, where an encoding lacks them."""
COURSE_WIDTH = 16
COURSE_FROM = 110
"""Columns that a terminal needs for the course of z beside the numbers."""
COURSE = "course of z"
LEFT_OUT_FIRST = ("target", "zero-grad", "trained", "batch", "generated", "accuracy")
"""Columns that a narrow terminal goes without, in this order, so that no number is cut."""
LEAST_TEXT = 8
"""Columns that the name of a task and the mark behind it keep in a narrow terminal; they are folded."""
BAR_WIDTH = 40
FRESH_SECONDS = 3600.0
"""For so long a file that is not written to may still belong to a run that goes on."""
EXPLAINED = (
    "z: weight in the last step, and its course from the first step on if the terminal is wide enough. "
    f"Means over the last {LAST_STEPS} steps: share of the batch asked for (target) and got (batch), accuracy on "
    "training prompts, prompts without a gradient (zero-grad). All in per cent. "
    "Rollouts generated and trained on are counted since the run began."
)


def run_view(run: Run, width: int, ascii_only: bool = False) -> RenderableType:
    """Where a run stands: head, one row per task, what was validated, and how to read it.

    Args:
        run: the run.
        width: columns of the terminal; with few, the course of z is left out, and then other columns.
        ascii_only: whether nothing else can be printed.
    """
    progress = progress_of(run)
    parts: list[RenderableType] = [Text(head(run, progress), style="bold")]
    if progress.total:
        parts.append(ProgressBar(total=progress.total, completed=progress.step, width=BAR_WIDTH))
    table, left_out = _task_table(progress, width, ASCII_LEVELS if ascii_only else BLOCKS)
    parts.append(table)
    if left_out:
        parts.append(Text(f"Left out, as the terminal is narrow: {', '.join(left_out)}."))
    parts += [Text(line) for line in _remarks(run, progress)]
    parts.append(Text(EXPLAINED, style="dim"))
    return Group(*parts)


def head(run: Run, progress: Progress) -> str:
    """One line: the run, its step, the pace and the time left."""
    of = "" if progress.total is None else f" of {progress.total}"
    return ", ".join([f"{run.name}: step {progress.step}{of}", *_pace(progress.step_seconds, progress.seconds_left)])


def _pace(step_seconds: float, seconds_left: float) -> list[str]:
    pace = [] if math.isnan(step_seconds) else [f"{duration(step_seconds)} per step"]
    if math.isnan(seconds_left):
        return pace
    return [*pace, f"about {duration(seconds_left)} left" if seconds_left else "finished"]


def step_line(run: Run, step: int) -> str:
    """One line on a step: its seconds, the time left, weight and training accuracy of each task, what was validated.

    Args:
        run: the run.
        step: a step that its log has; 0 is the validation before training.
    """
    data = run.records[step]
    total = total_steps(run, step)
    parts = [f"step {step}" + ("" if total is None else f" of {total}")]
    parts += _pace(data.get(STEP_SECONDS, math.nan), math.nan if total is None else seconds_for(run, total - step))
    line = [", ".join(parts)]
    for task in run.trained_tasks:
        if WEIGHT.of(task) in data:
            accuracy = _percent(data.get(ACCURACY.of(task), math.nan))
            line.append(f"{task}: z {_percent(data[WEIGHT.of(task)])}, accuracy {accuracy}")
    summaries = [metric.name for metric in (WORST_TASK_ACCURACY, AVERAGE_ACCURACY)]
    if any(name in data for name in summaries):
        worst, average = (data.get(name, math.nan) for name in summaries)
        line.append(f"validated: worst task {_percent(worst)}, average {_percent(average)}")
    return " | ".join(line)


def _task_table(progress: Progress, width: int, levels: str) -> tuple[Table, list[str]]:
    """The table, and the columns that the width has no room for."""
    columns = _columns(progress, levels)
    marks = [_mark(task) for task in progress.tasks]
    if width < COURSE_FROM:
        del columns[COURSE]
    left_out = []
    while left_out != list(LEFT_OUT_FIRST) and _needed(columns, any(marks)) > width:
        left_out.append(LEFT_OUT_FIRST[len(left_out)])
        del columns[left_out[-1]]
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("task", overflow="fold")
    for header in columns:
        table.add_column(header, justify="left" if header == COURSE else "right", no_wrap=True)
    if any(marks):
        table.add_column("", overflow="fold")
    for task, mark, *cells in zip(progress.tasks, marks, *columns.values(), strict=False):
        table.add_row(escape(task.task), *cells, *[mark] * any(marks), style="red" if mark else None)
    totals = [cells[-1] if len(cells) > len(marks) else "" for cells in columns.values()]
    if any(totals):
        table.add_section()
        table.add_row("in all", *totals, style="bold")
    return table, left_out


def _columns(progress: Progress, levels: str) -> dict[str, list[str]]:
    """The cells of each column, one per task; where it is known, the total behind them."""
    tasks = progress.tasks
    top = max((float(task.weights.values.max()) for task in tasks if len(task.weights.values)), default=1.0)
    columns = {
        "z": [_percent(task.weights.last) for task in tasks],
        COURSE: [course(task.weights, top, levels) for task in tasks],
        "target": [_percent(task.target) for task in tasks],
        "batch": [_percent(task.batch) for task in tasks],
        "accuracy": [_percent(task.accuracy) for task in tasks],
        "zero-grad": [_percent(task.zero_grad) for task in tasks],
        "generated": [_count(task.generated) for task in tasks],
        "trained": [_count(task.trained) for task in tasks],
    }
    if tasks and not math.isnan(progress.generated):
        about = "about " if progress.lost else ""
        columns["generated"].append(("" if progress.counted else about) + _count(progress.generated))
        columns["trained"].append(about + _count(progress.trained))
    return columns


def _needed(columns: dict[str, list[str]], marked: bool) -> int:
    """Columns of the terminal that the table needs at least, two of them between any two of its own and beside it."""
    widths = [LEAST_TEXT, *(max(map(len, [header, *cells])) for header, cells in columns.items())]
    return sum(widths + [LEAST_TEXT] * marked) + 2 * (len(widths) + marked)


def _mark(task: TaskProgress) -> str:
    if task.failing_steps:
        return f"failing: {task.failing_steps} steps"
    if task.starved:
        return "starved"
    return "short" if task.short else ""


def course(series: Series, top: float, levels: str = BLOCKS, width: int = COURSE_WIDTH) -> str:
    """A series as at most `width` levels, from 0 to `top`; each is the mean of equally many steps, give or take one."""
    if not len(series.values):
        return ""
    means = [float(part.mean()) for part in np.array_split(series.values, min(width, len(series.values)))]
    highest = len(levels) - 1
    return "".join(levels[min(highest, round(highest * mean / top))] for mean in means)


def _remarks(run: Run, progress: Progress) -> list[str]:
    remarks = []
    if not progress.tasks:
        remarks.append("The log has no metrics of mt_grpo: was the run started with +mt_grpo=<method>?")
    remarks += [task.starved for task in progress.tasks if task.starved]
    if any(_mark(task) == "short" for task in progress.tasks):
        remarks.append("short: the task got less than half of the share of the batch that was asked for.")
    if progress.lost and not math.isnan(progress.generated):
        counted = "; generated in all is what the run itself counted" if progress.counted else ""
        remarks.append(f"{lost_sentence(progress.lost)}{counted}.")
    steps = run.validated_steps.tolist()
    if steps:
        worst, average = _summary(run, steps[-1])
        said = f"validated at step {steps[-1]}: worst task {worst}, average {average}"
        first = f"; at step {steps[0]}: {', '.join(_summary(run, steps[0]))}"
        remarks.append(said + (first if len(steps) > 1 else ""))
    decided = last_decided_step(run.path)
    if decided is not None and decided > progress.step:
        going = _silence_of_decisions(run.path) < FRESH_SECONDS
        then = "is trained, and is being saved or validated" if going else "was trained and not logged"
        remarks.append(f"step {decided} {then}.")
    return remarks


def _summary(run: Run, step: int) -> tuple[str, str]:
    """The worst task's accuracy and the average at a validation."""
    return _percent(worst_accuracy(run).value_at(step)), _percent(mean_accuracy(run).value_at(step))


def _silence_of_decisions(run: Path) -> float:
    """Seconds since the log of decisions was written to."""
    directory = run if run.is_dir() else run.parent
    files = [directory / place for place in PLACES]
    return time.time() - max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)


def _percent(share: float) -> str:
    return EMPTY if math.isnan(share) else f"{100 * share:.1f}"


def _count(count: float) -> str:
    return EMPTY if math.isnan(count) else f"{count:,.0f}"
