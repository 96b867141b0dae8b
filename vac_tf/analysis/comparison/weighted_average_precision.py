"""Average precision of one ranking under many weightings of its images, for resampling."""

import numpy as np
from scipy.sparse import csr_array


class LabelRanking:
    """The images of one label in the order of their scores; sorted once, weighted many times.

    Only thresholds with a positive image count in the "step" average precision, so the ranking is
    cut into segments that each end at such a threshold (a group of equal scores).
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray):
        """Ranks the images.

        Args:
            labels: `[N]`, 0, 1 or NaN (unknown; left out).
            scores: `[N]`, higher means more likely.
        """
        known = np.flatnonzero(~np.isnan(labels))
        order = known[np.argsort(-scores[known], kind="stable")]
        is_positive = labels[order] == 1
        # Number of each group of equal scores, then of the segment that the group lies in.
        group = np.cumsum(np.diff(scores[order], prepend=scores[order[:1]]) != 0)
        last_groups = np.unique(group[is_positive])
        segment = np.searchsorted(last_groups, group)
        shape = (len(last_groups), len(labels))
        self._retrieved = _sums(shape, segment, order, segment < len(last_groups))
        self._positive = _sums(shape, segment, order, is_positive)

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        """The "step" average precision, each image counted as often as its weight says.

        Args:
            weights: float32 `[N, S]`, whole numbers: S weightings.

        Returns:
            float64 `[S]`; NaN where no positive image has a weight.
        """
        found = (self._positive @ weights).astype(np.float64)
        retrieved = np.cumsum(self._retrieved @ weights, axis=0, dtype=np.float64)
        true_positives = np.cumsum(found, axis=0)
        precision = true_positives / np.maximum(retrieved, 1)
        positives = found.sum(axis=0)
        result = np.sum(found * precision, axis=0) / np.maximum(positives, 1)
        return np.where(positives > 0, result, np.nan)


def _sums(shape, segment, order, chosen):
    """The matrix `[segments, N]` that sums the chosen images of each segment."""
    ones = np.ones(np.sum(chosen), np.float32)
    return csr_array((ones, (segment[chosen], order[chosen])), shape=shape)
