"""The end of the demo: one run as a table in the terminal and as one picture."""

from __future__ import annotations

import math
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mt_grpo_recipe.metrics import BATCH_SHARE, TARGET_SHARE, WEIGHT, ZERO_GRAD_RATE
from mt_grpo_recipe.report.measure.accuracy import mean_accuracy, task_accuracy, worst_accuracy
from mt_grpo_recipe.report.read.log import Run, RunLogError, Series, read_run
from mt_grpo_recipe.report.show.one_run_picture import draw_run, run_title

LAST_STEPS = 10
"""Shares and rates are means over this many last steps: one batch alone is too small to read them off."""


def summarize_demo(run_dir: Path | str, out_dir: Path | str) -> str:
    """Print what a run did, task by task, and draw it.

    Args:
        run_dir: the run: a directory with `*.jsonl` logs, or one such file.
        out_dir: where the picture goes; made if need be.

    Returns:
        The text that was printed, without colours.

    Raises:
        SystemExit: the run has no log, or none that can be read; the message says what is missing.
    """
    try:
        run = read_run(run_dir)
    except RunLogError as error:
        raise SystemExit(f"mt-grpo: {error}") from None
    picture = draw_run(run, Path(out_dir) / "demo.png")
    console = Console(record=True, highlight=False)
    if not console.is_terminal:
        # A file or a pipe has no width: let no task's name be cut to fit one.
        console.width = max(console.width, 120)
    console.print(_table(run))
    for line in _notes(run):
        console.print(line, style="dim", soft_wrap=True, markup=False)
    # Paths stay on one line however narrow the terminal, so that they can be copied and parsed.
    for file in run.files:
        console.print(f"metrics: {file.resolve()}", soft_wrap=True, markup=False)
    console.print(f"picture: {picture.resolve()}", soft_wrap=True, markup=False)
    return console.export_text()


def _table(run: Run) -> Table:
    count = min(LAST_STEPS, len(run.train_steps))
    table = Table(
        title=escape(run_title(run)),
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        collapse_padding=True,
    )
    table.add_column("task", overflow="fold")
    for header in ("before", "after", "change", "weight", "target", "batch", "zero-grad"):
        table.add_column(header, justify="right")
    for task in run.tasks:
        late = [run.late_mean(metric.of(task), count) for metric in (TARGET_SHARE, BATCH_SHARE, ZERO_GRAD_RATE)]
        weight = run.series(WEIGHT.of(task)).last
        table.add_row(escape(task), *_before_after(task_accuracy(run, task)), _percent(weight), *map(_percent, late))
    table.add_section()
    for name, series in (("worst task", worst_accuracy(run)), ("average", mean_accuracy(run))):
        table.add_row(name, *_before_after(series), "", "", "", "", style="bold")
    return table


def _before_after(series: Series) -> list[str]:
    if len(series.steps) < 2:
        return [_percent(series.first), "-", "-"]
    return [_percent(series.first), _percent(series.last), f"{100 * (series.last - series.first):+.1f}"]


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"


def _notes(run: Run) -> list[str]:
    count = min(LAST_STEPS, len(run.train_steps))
    steps = worst_accuracy(run).steps
    validated = "none is logged"
    if len(steps):
        validated = f"at step {steps[0]} and " + (f"at step {steps[-1]}" if len(steps) > 1 else "not again yet")
    means = f"means over the last {count} steps" if count > 1 else "of the last step" if count else "no step is logged"
    notes = [
        f"All in per cent, change in points. before, after: validation accuracy ({validated}).",
        f"weight: z in the last step. target, batch: share of the batch asked for and got; zero-grad: prompts "
        f"without a gradient; {means}.",
    ]
    return notes + [f"note: {problem}" for problem in run.problems]
