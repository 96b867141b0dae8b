"""What a page needs to recompute precision, recall and F1 at any threshold, and to draw curves."""

import numpy as np

_FINE = np.array([0.001, 0.002, 0.005])


def slider_thresholds(*others: float) -> np.ndarray:
    """The steps of a threshold slider, rising float32: hundredths, finer at the ends, `others`."""
    steps = np.concatenate([[0.0], _FINE, np.arange(1, 100) / 100, 1 - _FINE[::-1], others])
    return np.unique(steps.astype(np.float32))


def threshold_counts(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How many positives and how many negatives of each label lie above each threshold.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (counted nowhere).
        probabilities: float32 `[N, L]`.
        thresholds: float32 `[T]`, rising. Above means greater, as everywhere.

    Returns:
        True positives and false positives, both int64 `[L, T]`.
    """
    return (
        np.stack([_above(column[chosen], thresholds) for column, chosen in columns])
        for columns in (
            list(zip(probabilities.T, (labels == value).T, strict=True)) for value in (1, 0)
        )
    )


def precision_recall_points(
    labels: np.ndarray, scores: np.ndarray, most: int = 48
) -> tuple[np.ndarray, np.ndarray]:
    """The curve of one label, thinned.

    Args:
        labels: `[N]`, 0, 1 or NaN (left out).
        scores: `[N]`, higher means more likely.
        most: number of points, evenly spread over the positives that are found.

    Returns:
        recall and precision at scores that find a further positive, each `[P]`, P at most `most`;
        both empty without positives.
    """
    known = ~np.isnan(labels)
    order = np.argsort(-scores[known], kind="stable")
    ranked, is_positive = scores[known][order], labels[known][order] == 1
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else []
    found = np.cumsum(is_positive)[ends] if len(ranked) else np.zeros(0)
    finds_more = np.diff(found, prepend=0) > 0
    found, retrieved = found[finds_more], np.asarray(ends)[finds_more] + 1
    if len(found) > most:
        chosen = np.unique(np.linspace(0, len(found) - 1, most).round().astype(int))
        found, retrieved = found[chosen], retrieved[chosen]
    return found / max(is_positive.sum(), 1), found / np.maximum(retrieved, 1)


def _above(values, thresholds):
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="right")
