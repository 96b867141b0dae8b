"""Which labels and which images of them a gallery shows."""

from collections.abc import Sequence

import numpy as np

KINDS = {
    "right": "Right, most confident",
    "wrong": "False positives, most confident",
    "missed": "False negatives, least likely",
}
MOST_INSIDE = 40  # Labels whose pictures lie in the page itself.


def worst_labels(precisions: Sequence[float | None], most: int = MOST_INSIDE) -> list[int]:
    """Labels of the lowest average precision, the worst first; those without positives never."""
    defined = [label for label, value in enumerate(precisions) if value is not None]
    return sorted(defined, key=lambda label: precisions[label])[:most]


def choose_images(
    labels: np.ndarray, probabilities: np.ndarray, decided: np.ndarray, most: int = 3
) -> dict[str, list[int]]:
    """The images of one label to show.

    Args:
        labels: `[N]`, 0, 1 or NaN (never shown).
        probabilities: float32 `[N]`.
        decided: bool `[N]`.
        most: images of each kind.

    Returns:
        `right` and `wrong`, the highest probability first; `missed`, the lowest first.
    """
    chosen = {
        "right": ((labels == 1) & decided, -probabilities),
        "wrong": ((labels == 0) & decided, -probabilities),
        "missed": ((labels == 1) & ~decided, probabilities),
    }
    return {
        kind: sorted(np.flatnonzero(among).tolist(), key=lambda image: order[image])[:most]
        for kind, (among, order) in chosen.items()
    }
