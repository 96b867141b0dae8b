"""Average precision in three named conventions, for one label or for all labels at once.

All three rank the images by score and group ties: images with equal scores pass a threshold
together, so that the result does not depend on the order of the images. NumPy only.
"""

import numpy as np
from numpy.typing import ArrayLike

CONVENTIONS = ("step", "voc12", "voc07")


def average_precision(labels: ArrayLike, scores: ArrayLike, convention: str = "step") -> float:
    """Average precision of one label.

    Args:
        labels: [N], values 0, 1 or NaN; an image with NaN (unknown) is left out.
        scores: [N], any real numbers, higher means more likely (logits or probabilities).
        convention: "step", the sum of precision times the rise of recall, as scikit-learn's
            `average_precision_score`; "voc12", the area under the precision envelope
            (PASCAL VOC 2010-2012); "voc07", the mean of the envelope at recall 0, 0.1, ... 1.

    Returns:
        The average precision in 0..1; NaN when no image is positive.

    Raises:
        ValueError: shapes that differ, labels outside {0, 1, NaN}, NaN scores, or an unknown
            convention.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(
            f"Got labels of shape {labels.shape} and scores of shape {scores.shape}. Expected two"
            " vectors [N]; for [N, L] use average_precision_per_label."
        )
    return float(average_precision_per_label(labels[:, None], scores[:, None], convention)[0])


def average_precision_per_label(
    labels: ArrayLike, scores: ArrayLike, convention: str = "step"
) -> np.ndarray:
    """Average precision of every label, as `average_precision` on each column, in one sort.

    Args:
        labels: [N, L], values 0, 1 or NaN (unknown).
        scores: [N, L], any real numbers.
        convention: "step", "voc12" or "voc07".

    Returns:
        float64 [L]; NaN for a label without positives.

    Raises:
        ValueError: as `average_precision`.
    """
    if convention not in CONVENTIONS:
        raise ValueError(
            f"Unknown convention {convention!r} of average precision. Expected one of:"
            f" {', '.join(CONVENTIONS)}."
        )
    labels = np.asarray(labels, dtype=np.float32)
    scores = np.asarray(scores)
    _check(labels, scores)
    if not len(labels):
        return np.full(labels.shape[1], np.nan)

    # Labels first: every label's ranking then lies in one piece of memory.
    order = np.argsort(-scores.T.astype(np.result_type(scores, np.float32)), axis=1)
    ranked_scores = np.take_along_axis(scores.T, order, axis=1)
    ranked_labels = np.take_along_axis(labels.T, order, axis=1)

    # An unknown image raises neither count, which equals leaving it out.
    true_positives = np.cumsum(ranked_labels == 1, axis=1)
    retrieved = np.cumsum(~np.isnan(ranked_labels), axis=1)
    ends_tie_group = np.ones(ranked_scores.shape, bool)
    ends_tie_group[:, :-1] = ranked_scores[:, 1:] != ranked_scores[:, :-1]
    precision = np.where(ends_tie_group, true_positives / np.maximum(retrieved, 1), 0.0)

    summary = {"step": _step, "voc12": _voc12, "voc07": _voc07}[convention]
    positives = true_positives[:, -1]
    result = summary(precision, true_positives, ends_tie_group) / np.maximum(positives, 1)
    return np.where(positives > 0, result, np.nan)


def _step(
    precision: np.ndarray, true_positives: np.ndarray, ends_tie_group: np.ndarray
) -> np.ndarray:
    """Sum over the thresholds of precision times the newly found positives, [L]."""
    label, rank = np.nonzero(ends_tie_group)
    found = true_positives[label, rank]
    found_before = np.where(np.diff(label, prepend=-1) != 0, 0, np.roll(found, 1))
    return np.bincount(
        label, weights=(found - found_before) * precision[label, rank], minlength=len(precision)
    )


def _voc12(
    precision: np.ndarray, true_positives: np.ndarray, ends_tie_group: np.ndarray
) -> np.ndarray:
    """Sum over the positives of the best precision at their recall or above, [L]."""
    is_positive = np.diff(true_positives, axis=1, prepend=0)
    return np.sum(is_positive * _envelope(precision), axis=1)


def _voc07(
    precision: np.ndarray, true_positives: np.ndarray, ends_tie_group: np.ndarray
) -> np.ndarray:
    """Mean of the envelope at eleven recalls, times the number of positives, [L]."""
    envelope = _envelope(precision)
    positives = true_positives[:, -1]
    total = np.zeros(len(precision))
    for tenth in range(11):
        # In integers, since 3 * 0.1 exceeds a recall of 3 / 10 in floating point.
        rank = np.sum(10 * true_positives < tenth * positives[:, None], axis=1)
        total += envelope[np.arange(len(precision)), rank]
    return total / 11 * positives


def _envelope(precision: np.ndarray) -> np.ndarray:
    """The highest precision at each rank or any later one, [L, N]."""
    return np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]


def _check(labels: np.ndarray, scores: np.ndarray) -> None:
    if labels.ndim != 2 or scores.shape != labels.shape:
        raise ValueError(
            f"Got labels of shape {labels.shape} and scores of shape {scores.shape}. Expected"
            " both of the same shape [N, L]: one row per image, one column per label."
        )
    bad = ~((labels == 0) | (labels == 1) | np.isnan(labels))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"The label at row {row}, column {column} is {labels[row, column]}. Expected 0, 1 or"
            " NaN (unknown)."
        )
    if np.isnan(scores).any():
        row, column = np.argwhere(np.isnan(scores))[0]
        raise ValueError(
            f"The score at row {row}, column {column} is NaN. Expected a number: look for a"
            " non-finite weight or input of the network."
        )
