"""Means and spreads over the seeds of a method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mt_grpo_recipe.algorithm.arrays import FloatArray, IntArray
from mt_grpo_recipe.report.log import Series


@dataclass(frozen=True)
class Stat:
    """A number over several runs.

    Attributes:
        mean: mean over the runs that have the number; NaN where none has.
        sd: sample standard deviation (n - 1); NaN below two runs.
        n: runs that have the number.
        total: runs asked.
    """

    mean: float
    sd: float
    n: int
    total: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Stat:
        """Sum up one number a run; None and NaN stand for a run without it."""
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
    """Average series over the steps that all of them have; series without any step are passed over.

    Beyond the end of the shortest run the mean would be one of other runs, and its jump there an artefact.
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
