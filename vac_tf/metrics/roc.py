"""Area under the ROC curve, with its interval over resampled images.

Source: Fawcett, "An introduction to ROC analysis", 2006; ties count one half, as in the statistic
of Mann and Whitney. NumPy only.
"""

import numpy as np
from numpy.typing import ArrayLike

from vac_tf.metrics.bootstrap import percentile_interval, resample_counts


def roc_auc(
    positive: ArrayLike,
    scores: ArrayLike,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> float | None:
    """The probability that a positive has a higher score than a negative.

    Args:
        positive: bool `[P]`.
        scores: `[P]`, finite.
        weights: `[P]`, at least 0: how often each counts; default once.
        strata: `[P]`, whole numbers: positives are compared with negatives of their own stratum
            only; default: all are one.

    Returns:
        0 to 1, 0.5 for scores that say nothing; None without a pair to compare.
    """
    return _Ranked(positive, scores, strata).auc(weights)


def roc_auc_interval(
    positive: ArrayLike,
    scores: ArrayLike,
    images: ArrayLike,
    num_images: int,
    samples: int,
    seed: int,
    strata: ArrayLike | None = None,
) -> dict[str, float | int | None]:
    """The AUC over everything, and 95 % of those over resampled images.

    Args:
        positive: bool `[P]`.
        scores: `[P]`.
        images: int `[P]`, the image that each belongs to: those of one image are drawn together.
        num_images: N.
        samples: Of the bootstrap.
        seed: Of the samples.
        strata: As `roc_auc`.

    Returns:
        `auc`, `low`, `high` (None where undefined), `positives` and `negatives`.
    """
    ranked = _Ranked(positive, scores, strata)
    images = np.asarray(images)[ranked.order]
    found = {"auc": ranked.auc(), "low": None, "high": None}
    found |= {"positives": ranked.positives, "negatives": ranked.negatives}
    if found["auc"] is None:
        return found
    draws = [
        ranked.auc_of_sorted(column[images])
        for counts in resample_counts(num_images, samples, seed)
        for column in counts.T
    ]
    interval = percentile_interval(np.array(draws, np.float64))
    return found | dict(zip(("low", "high"), interval or (None, None), strict=True))


class _Ranked:
    """Scores sorted once, for many weights."""

    def __init__(
        self, positive: ArrayLike, scores: ArrayLike, strata: ArrayLike | None = None
    ) -> None:
        positive, scores = np.asarray(positive, bool), np.asarray(scores, np.float64)
        if positive.ndim != 1 or positive.shape != scores.shape or not np.isfinite(scores).all():
            raise ValueError(
                f"Got {positive.shape} classes and {scores.shape} scores, of which"
                f" {np.sum(~np.isfinite(scores))} are not finite. Expected two vectors [P]."
            )
        strata = np.zeros(len(scores), int) if strata is None else np.asarray(strata)
        self.order = np.lexsort((scores, strata))
        self._positive = positive[self.order]
        self.positives = int(positive.sum())
        self.negatives = len(positive) - self.positives
        ranked, strata = scores[self.order], strata[self.order]
        is_next = np.r_[True, strata[1:] != strata[:-1]][: len(ranked)]
        is_higher = np.r_[True, ranked[1:] != ranked[:-1]][: len(ranked)]
        self._starts = np.flatnonzero(is_next | is_higher)  # Of equal scores of one stratum.
        self._strata = np.flatnonzero(is_next[self._starts])  # Among those.

    def auc(self, weights: ArrayLike | None = None) -> float | None:
        if not self.positives or not self.negatives:
            return None
        weights = np.ones(len(self.order)) if weights is None else np.asarray(weights, np.float64)
        found = self.auc_of_sorted(weights[self.order])
        return None if np.isnan(found) else found

    def auc_of_sorted(self, weights: np.ndarray) -> float:
        """Of weights in the order of the scores; NaN without a pair to compare."""
        weights = np.asarray(weights, np.float64)
        if not len(self._starts):
            return np.nan
        above = np.add.reduceat(np.where(self._positive, weights, 0.0), self._starts)
        below = np.add.reduceat(np.where(self._positive, 0.0, weights), self._starts)
        positives, negatives = (np.add.reduceat(part, self._strata) for part in (above, below))
        pairs = float(positives @ negatives)
        if not pairs:
            return np.nan
        lower = np.cumsum(below) - below / 2
        # What the strata before count is no part of the own one.
        wins = float(above @ lower - positives @ (np.cumsum(negatives) - negatives))
        return wins / pairs
