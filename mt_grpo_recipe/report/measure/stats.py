"""Means and spreads over the seeds of a method, and means over the steps of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.report.read.log import Series


@dataclass(frozen=True)
class Stat:
    """A number over several runs.

    Attributes:
        mean: mean over the runs that have the number; NaN where none has.
        sd: sample standard deviation (n - 1); NaN below two runs.
        n: runs that have the number.
        total: all runs.
    """

    mean: float
    sd: float
    n: int
    total: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Stat:
        """Summarise one number per run; None and NaN stand for a run without it."""
        asked = list(values)
        known = np.array([v for v in asked if v is not None and not math.isnan(v)], dtype=np.float64)
        if not len(known):
            return cls(math.nan, math.nan, 0, len(asked))
        sd = float(known.std(ddof=1)) if len(known) > 1 else math.nan
        return cls(float(known.mean()), sd, len(known), len(asked))


@dataclass(frozen=True)
class Curve:
    """A series averaged over runs: all of shape (n,). `sd` is NaN where one run alone stands behind the mean."""

    steps: IntArray
    mean: FloatArray
    sd: FloatArray


def mean_curve(runs: Sequence[Series]) -> Curve:
    """Average series over the steps that they all have; series without any step are skipped.

    Beyond the end of the shortest run the mean would be over fewer runs, and its jump there an artefact.
    """
    given = [series for series in runs if len(series.steps)]
    if not given:
        empty = np.array([], dtype=np.float64)
        return Curve(np.array([], dtype=np.int64), empty, empty)
    common = set.intersection(*(set(series.steps.tolist()) for series in given))
    steps = np.array(sorted(common), dtype=np.int64)
    values = np.stack([series.values[np.isin(series.steps, steps)] for series in given])
    sd = values.std(axis=0, ddof=1) if len(given) > 1 else np.full(len(steps), math.nan)
    return Curve(steps, values.mean(axis=0), sd)


def running_mean(values: FloatArray, width: int) -> FloatArray:
    """Mean over the last `width` values at each place (fewer at the start), shape as given: (n,), all finite.

    It looks back only, so that a line never shows what had not happened yet.
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
