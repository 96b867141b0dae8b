"""Insertion and deletion curves: does what a heatmap marks make the score?

Source: Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC
2018, Section 4.2. NumPy and SciPy only.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

STEPS = 20
# Of the blurred image that insertion starts from, for 224 pixels, as the authors' code.
_BLUR = 5.0
_BLURRED_SIDE = 224


def insertion_deletion(
    image: np.ndarray,
    heatmap: np.ndarray,
    predict: Callable[[np.ndarray], np.ndarray],
    steps: int = STEPS,
) -> dict[str, np.ndarray]:
    """Scores while pixels are given and taken, those with the largest values first.

    Deletion begins with the image and sets pixels to its mean colour; insertion begins with the
    blurred image and uncovers them. Pixels of equal value go in the order of rows.

    Args:
        image: float32 `[H, W, 3]`, the input of the network.
        heatmap: float `[H, W]`, enlarged to the image.
        predict: images `[B, H, W, 3]` -> the score of the heatmap's label `[B]`, a probability.
        steps: K; every step changes a K-th of the pixels.

    Returns:
        `insertion` and `deletion`, float64 `[K + 1]` each: the score after 0, 1, ..., K steps.

    Raises:
        ValueError: a heatmap of another size than the image, or not finite.
    """
    image, heatmap = np.asarray(image, np.float32), np.asarray(heatmap)
    if heatmap.shape != image.shape[:2] or not np.isfinite(heatmap).all():
        raise ValueError(
            f"Expected a finite heatmap of the image's size {image.shape[:2]}, got shape"
            f" {heatmap.shape}."
        )
    order = np.argsort(-heatmap, axis=None, kind="stable")
    # The step in which a pixel changes, 1 to K.
    rank = np.empty(heatmap.size, np.int64)
    rank[order] = np.arange(heatmap.size) * steps // heatmap.size + 1
    changed = rank.reshape(1, *heatmap.shape, 1) <= np.arange(steps + 1).reshape(-1, 1, 1, 1)
    mean = image.mean(axis=(0, 1))
    return {
        "insertion": np.asarray(predict(np.where(changed, image, _blurred(image))), np.float64),
        "deletion": np.asarray(predict(np.where(changed, mean, image)), np.float64),
    }


def area_under_curve(scores: np.ndarray) -> float:
    """The area under a curve `[K + 1]` over the share of pixels 0..1, by trapezoids."""
    return float(np.trapezoid(scores, dx=1.0 / (len(scores) - 1)))


def _blurred(image: np.ndarray) -> np.ndarray:
    width = _BLUR * max(image.shape[:2]) / _BLURRED_SIDE
    return ndimage.gaussian_filter(image, (width, width, 0), mode="nearest")
