"""Checks and normalisation of the arrays that saliency metrics take."""

import numpy as np
from numpy.typing import ArrayLike


def checked_map(values: ArrayLike, name: str) -> np.ndarray:
    """`values` as a float array `[H, W]`.

    Raises:
        ValueError: naming the argument, when it is not two-dimensional, empty or not finite.
    """
    values = np.asarray(values)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"{name} must be a map of shape [H, W], got the shape {values.shape}.")
    values = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {values[~np.isfinite(values)][0]}.")
    return values


def checked_mask(mask: ArrayLike, shape: tuple[int, int], name: str) -> np.ndarray:
    """Where `mask` is not zero, bool `[H, W]`.

    Raises:
        ValueError: naming the argument, when its shape is not that of the saliency map.
    """
    mask = np.asarray(mask)
    if mask.shape != shape:
        raise ValueError(
            f"{name} must have the shape of the saliency map, {shape}, got {mask.shape}. Resize the"
            " map to the image on which the fixations were recorded."
        )
    return mask != 0


def as_distribution(values: ArrayLike, name: str) -> np.ndarray:
    """A map divided by its sum, float64 `[H, W]`; an all-zero map becomes the uniform one.

    Raises:
        ValueError: naming the argument, when it is no map or has negative values.
    """
    checked = checked_map(values, name).astype(np.float64)
    if checked.min() < 0:
        raise ValueError(
            f"{name} must not be negative to be a distribution, got {checked.min():g}; turn logits"
            " into one with a softmax over all pixels."
        )
    if not checked.any():
        return np.full(checked.shape, 1.0 / checked.size)
    # Dividing by the largest value first keeps the sum finite and not denormal.
    scaled = checked / checked.max()
    return scaled / scaled.sum()
