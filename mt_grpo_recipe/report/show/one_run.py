"""One run, task by task, as a table in the terminal."""

from __future__ import annotations

import math

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from mt_grpo_recipe.metrics import (
    BATCH_SHARE,
    GENERATED_ROLLOUTS,
    GENERATED_TOKENS,
    TARGET_SHARE,
    TRAINED_ROLLOUTS,
    WEIGHT,
    ZERO_GRAD_RATE,
    Metric,
)
from mt_grpo_recipe.report.measure.accuracy import mean_accuracy, task_accuracy, worst_accuracy
from mt_grpo_recipe.report.measure.cost import ROLLOUTS, TOKENS, counts_itself, in_all, lost_steps, share_of
from mt_grpo_recipe.report.measure.progress import LAST_STEPS, lost_sentence
from mt_grpo_recipe.report.measure.starvation import starvations
from mt_grpo_recipe.report.read.log import Run, Series
from mt_grpo_recipe.report.show.one_run_picture import run_title

LEAST_WIDTH = 80
"""Columns that the table needs. A terminal with fewer breaks its lines, which cuts no number."""


def run_table(run: Run) -> Table:
    """Accuracy before and after, weight, and shares of the batch: one row per task, worst and average below."""
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
        table.add_column(header, justify="right", no_wrap=True)
    for task in run.tasks:
        late = [run.late_mean(metric.of(task), count) for metric in (TARGET_SHARE, BATCH_SHARE, ZERO_GRAD_RATE)]
        weight = run.series(WEIGHT.of(task)).last
        table.add_row(
            escape(task), *_before_after(run, task_accuracy(run, task)), _percent(weight), *map(_percent, late)
        )
    table.add_section()
    for name, series in (("worst task", worst_accuracy(run)), ("average", mean_accuracy(run))):
        table.add_row(name, *_before_after(run, series), "", "", "", "", style="bold")
    return table


def run_notes(run: Run) -> list[str]:
    """Sentences to read the table by, and what the log lacks."""
    count = min(LAST_STEPS, len(run.train_steps))
    steps = run.validated_steps
    validated = "none is logged"
    if len(steps):
        validated = f"at step {steps[0]} and " + (f"at step {steps[-1]}" if len(steps) > 1 else "not again yet")
    means = f"means over the last {count} steps" if count > 1 else "of the last step" if count else "no step is logged"
    notes = [
        f"All in per cent, change in points. before, after: validation accuracy ({validated}).",
        f"weight: z in the last step. target, batch: share of the batch asked for and got; zero-grad: prompts "
        f"without a gradient; {means}.",
    ]
    if ROLLOUTS.known(run):
        notes.append(_cost(run))
    notes += [f"alarm: {stretch.sentence()}" for stretch in starvations(run, LAST_STEPS)]
    return notes + [f"note: {problem}" for problem in run.problems]


def _cost(run: Run) -> str:
    rollouts, tokens = (_amount(run, metric) for metric in (GENERATED_ROLLOUTS, GENERATED_TOKENS))
    said = f"cost: {rollouts} rollouts" + (f" with {tokens} response tokens" if TOKENS.known(run) else "")
    said += " generated in all"
    if "about" in said:
        said += f" ({lost_sentence(lost_steps(run))})"
    share = share_of(run, TRAINED_ROLLOUTS, GENERATED_ROLLOUTS)
    return said + ("." if math.isnan(share) else f"; {_percent(share)} % of the rollouts trained on.")


def _amount(run: Run, metric: Metric) -> str:
    about = "about " if lost_steps(run) and not counts_itself(run, metric) else ""
    return f"{about}{in_all(run, metric):,.0f}"


def _before_after(run: Run, series: Series) -> list[str]:
    """Its values at the first and the last validation, and the change; a dash for what a validation lacks."""
    steps = run.validated_steps.tolist()
    before = series.value_at(steps[0]) if steps else math.nan
    after = series.value_at(steps[-1]) if len(steps) > 1 else math.nan
    change = after - before
    return [_percent(before), _percent(after), "-" if math.isnan(change) else f"{100 * change:+.1f}"]


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"
