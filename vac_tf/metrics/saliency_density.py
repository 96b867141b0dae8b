"""From a saliency network's map of logits to a density of fixations. NumPy."""

import numpy as np
from PIL import Image


def saliency_density(logits: np.ndarray, height: int, width: int) -> np.ndarray:
    """The density of fixations that a saliency network predicts.

    Args:
        logits: `[h, w]`, its output for one image.
        height, width: of the density in pixels; the logits are up-sampled bilinearly to it.

    Returns:
        float64 `[height, width]` of sum 1: the softmax over all pixels.
    """
    image = Image.fromarray(np.asarray(logits, np.float32), mode="F")
    large = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float64)
    weights = np.exp(large - large.max())
    return weights / weights.sum()
