"""Pearson and Spearman correlation of two columns in which values may be missing."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

LEAST_PAIRS = 3  # Two points always lie on a line.


def correlate(first: Sequence[float | None], second: Sequence[float | None]) -> dict:
    """Correlations over the pairs in which both values are there.

    Args:
        first: numbers; None or NaN where missing.
        second: as many.

    Returns:
        `count`, the number of complete pairs; `pearson` and `spearman`, each a dict of
        `correlation` and two-sided `p_value`, as `scipy.stats.pearsonr` and `spearmanr`, or None;
        `reason`, why they are None, otherwise None.

    Raises:
        ValueError: columns of different lengths.
    """
    pairs = np.array(
        [[_number(x), _number(y)] for x, y in zip(first, second, strict=True)], np.float64
    ).reshape(-1, 2)
    first, second = pairs[~np.isnan(pairs).any(axis=1)].T
    result = {"count": len(first), "pearson": None, "spearman": None, "reason": None}
    if len(first) < LEAST_PAIRS:
        return result | {"reason": f"{len(first)} pairs; a correlation needs {LEAST_PAIRS}"}
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return result | {"reason": "one of the two quantities is the same everywhere"}
    for name, function in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        found = function(first, second)
        result[name] = {
            "correlation": float(found.statistic),
            "p_value": float(found.pvalue),
        }
    return result


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
