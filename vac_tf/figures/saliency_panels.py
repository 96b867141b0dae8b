"""An image beside where people looked and where a network expects them to look."""

import numpy as np

from vac_tf.figures.heatmap_overlay import overlay


def saliency_panel(image: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Image, true density and predicted density side by side.

    Each density has its own colour scale, from 0 to its largest value.

    Args:
        image: `[H, W, 3]` in 0..255.
        truth: `[h, w]`, enlarged to the image.
        prediction: `[h, w]`, enlarged to the image.

    Returns:
        uint8 `[H, 3 W, 3]`.
    """
    maps = [overlay(image, density, 0.0, float(density.max())) for density in (truth, prediction)]
    return np.concatenate([np.rint(image).astype("uint8"), *maps], axis=1)
