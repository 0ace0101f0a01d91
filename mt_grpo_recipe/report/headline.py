"""The result in a sentence or two."""

from __future__ import annotations

import math

from mt_grpo_recipe.report.accuracy import mean_accuracy, worst_accuracy
from mt_grpo_recipe.report.comparison import Comparison
from mt_grpo_recipe.report.groups import over_runs
from mt_grpo_recipe.report.stats import Stat


def headline(comparison: Comparison) -> str:
    """Say what was compared and which method ends highest, with the distance to the next one or to the baseline."""
    runs, groups = len(comparison.runs), comparison.groups
    sentences = [
        f"{_count(runs, 'run')} of {_count(len(groups), 'method')} on {_count(len(comparison.trained_tasks), 'task')}."
    ]
    for what, accuracy in (("the worst task", worst_accuracy), ("the average", mean_accuracy)):
        finals = {group.name: over_runs(group, lambda run, a=accuracy: a(run).last) for group in groups}
        known = {name: stat for name, stat in finals.items() if not math.isnan(stat.mean)}
        if not known:
            continue
        first = max(known, key=lambda name: known[name].mean)
        sentence = f"At the end, {what} is highest under {first}: {_percent(known[first])}"
        if len(known) == 1:
            sentence = f"Under {first}, {what} ends at {_percent(known[first])}"
        base = comparison.baseline.name if comparison.baseline else None
        others = [name for name in known if name != first]
        other = base if base in others else max(others, key=lambda name: known[name].mean, default=None)
        if other is not None:
            sentence += f", beside {_percent(known[other])} under {other}"
        sentences.append(sentence + ".")
    if len(groups) > 1 and any(len(group.runs) == 1 for group in groups):
        sentences.append("Where a method has one run only, nothing here tells its lead from the luck of a seed.")
    return " ".join(sentences)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _percent(stat: Stat) -> str:
    return f"{100 * stat.mean:.1f} %" if math.isnan(stat.sd) else f"{100 * stat.mean:.1f} ± {100 * stat.sd:.1f} %"
