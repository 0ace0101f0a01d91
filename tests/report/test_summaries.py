"""Accuracies summed up over the tasks, against the paper's numbers and at their edges."""

import math

import pytest

from mt_grpo_recipe.report.measure.accuracy import average_accuracy, average_relative_change, worst_task
from mt_grpo_recipe.report.measure.cost import first_reached


def test_the_papers_dapo_and_mt_grpo_rows():
    # Exp 1 of the paper, final accuracies in per cent: DAPO, and MT-GRPO with lambda 0.2, given as +5.8.
    dapo = {"arc": 54.7, "countdown": 88.2, "zebra": 52.6}
    mt_grpo = {"arc": 64.8, "countdown": 79.2, "zebra": 57.5}
    assert average_relative_change(mt_grpo, dapo) == pytest.approx(5.8, abs=0.1)
    assert worst_task(mt_grpo) == ("zebra", 57.5)
    assert average_accuracy(mt_grpo) == pytest.approx(67.2, abs=0.05)
    assert average_relative_change(dapo, dapo) == 0


def test_summaries_of_nothing_are_refused():
    for summary in (worst_task, average_accuracy):
        with pytest.raises(ValueError, match="no tasks"):
            summary({})
    with pytest.raises(ValueError, match="same tasks"):
        average_relative_change({"a": 1.0}, {"b": 1.0})
    assert math.isnan(average_relative_change({"a": 0.5}, {"a": 0.0}))


def test_first_reached_forgives_rounding_and_passes_nan_over():
    assert first_reached([math.nan, 0.1, 0.1 + 0.2, 0.5], 0.3) == 2
    assert first_reached([0.1, 0.3 - 1e-12], 0.3) == 1
    assert first_reached([0.1], 0.3) is None
    assert first_reached([], 0.3) is None
