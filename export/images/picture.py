"""Pictures for people, small enough to travel through the queues."""

import numpy as np
from PIL import Image

OVERLAY_SIDE = 512


def shrink_picture(pixels: np.ndarray) -> np.ndarray:
    """uint8 RGB with sides of at most 512 pixels: whole photographs would fill the queues."""
    image = Image.fromarray(pixels)
    image.thumbnail((OVERLAY_SIDE, OVERLAY_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image)
