"""How far given labels are believed by probabilities of a network that has not seen them.

Source: Thyagarajan, Snorrason, Northcutt, Mueller, "Identifying Incorrect Annotations in
Multi-Label Classification Data", 2022 (as `cleanlab.multilabel_classification`). NumPy only.
"""

import numpy as np


def self_confidence(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """What the network gives each label as it was given: p where it is present, else 1 - p.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (unknown).
        probabilities: `[N, L]`, of images that the network was not trained on.

    Returns:
        float64 `[N, L]`; low is suspect, NaN where unknown.
    """
    probabilities = np.asarray(probabilities, np.float64)
    return np.where(
        np.isnan(labels), np.nan, np.where(labels == 1, probabilities, 1 - probabilities)
    )


def image_quality(labels: np.ndarray, probabilities: np.ndarray, weight: float = 0.8) -> np.ndarray:
    """One value per image: an exponential moving average of its labels, the most suspect last.

    The values of an image's labels fall; from the first on, each is `weight` of the average and
    what went before the rest, so that the lowest count most, and one wrong label among many right
    ones is seen.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (left out).
        probabilities: `[N, L]`.
        weight: of the next value, above 0 and at most 1.

    Returns:
        float64 `[N]`; low is suspect, NaN without a known label.
    """
    falling = -np.sort(-self_confidence(labels, probabilities), axis=1)  # NaN comes last.
    average = falling[:, 0].copy()
    for column in falling.T[1:]:
        average = np.where(np.isnan(column), average, weight * column + (1 - weight) * average)
    return average
