"""Probabilities so near 0 or 1 that rounding has lost their order. NumPy only.

The sigmoid of a logit above 16.6 is 1 in float32, and from a logit of 12 on logits that differ in
the second decimal are rounded to the same probability. A ranking of such probabilities holds ties
that the network did not mean; a ranking of the logits does not.
"""

import logging
from collections.abc import Sequence

import numpy as np

_LOGGER = logging.getLogger(__name__)

_STEPS_BELOW_1 = 64  # of float32: above 0.99999237, a logit of 11.8


def lost_order(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Labels of which a positive and a negative share one saturated probability.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        scores: `[N, L]`, probabilities. Those that float32 holds exactly are taken as rounded to
            it, whatever their type.

    Returns:
        bool `[L]`.
    """
    rounded_to = scores.dtype
    if np.array_equal(scores, scores.astype(np.float32)):
        rounded_to = np.dtype(np.float32)
    highest = 1 - _STEPS_BELOW_1 * np.finfo(rounded_to).eps
    saturated = (scores == 0) | (scores >= highest)
    found = np.zeros(labels.shape[1], bool)
    positive, negative = saturated & (labels == 1), saturated & (labels == 0)
    for label in np.flatnonzero(positive.any(axis=0) & negative.any(axis=0)):
        column = scores[:, label]
        shared = np.isin(column[positive[:, label]], column[negative[:, label]])
        found[label] = shared.any()
    return found


def warn_of_lost_order(
    labels: np.ndarray, scores: np.ndarray, label_names: Sequence[str], advice: str
) -> None:
    """Logs one warning when `lost_order` finds any label; `advice` says how to keep the order."""
    lost = np.flatnonzero(lost_order(labels, scores))
    if len(lost):
        _LOGGER.warning(
            "Positives and negatives of %d of %d labels, such as %r, have the same probability"
            " next to 0 or 1, where rounding leaves no other: their order is lost, and average"
            " precision counts them as ties. %s",
            len(lost),
            len(label_names),
            label_names[lost[0]],
            advice,
        )
