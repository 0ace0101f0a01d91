"""Array types and the few checks that every formula shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def as_vector(values: Sequence[float] | FloatArray, missing: bool = False) -> FloatArray:
    """Return values as a float64 vector of shape (K,).

    Args:
        values: K numbers.
        missing: whether NaN may stand for a value that is missing.

    Raises:
        ValueError: not one-dimensional, or with a value that is not finite.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or not (np.isfinite(vector) | (missing & np.isnan(vector))).all():
        raise ValueError(f"expected a vector of finite numbers, got {values!r}")
    return vector
