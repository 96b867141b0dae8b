"""Saliency maps in image files, at the depth that the file holds."""

import os
from typing import BinaryIO

import numpy as np
from PIL import Image


def read_map_image(file: str | os.PathLike | BinaryIO) -> np.ndarray:
    """The values of a grey image; shades of grey of any other.

    Args:
        file: path of the image, or its contents as a stream.

    Returns:
        [H, W] of the smallest type that holds the file: uint8 up to 8 bits, uint16, int32 or
        float32 of deeper ones (which Pillow would clip to 255). All fit into float64.

    Raises:
        OSError: when the image is missing or cannot be decoded.
        ValueError: when a value is negative or not finite, or Pillow refuses the image so.
    """
    try:
        with Image.open(file) as image:
            is_deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
            values = np.asarray(image if is_deep else image.convert("L"))
    except (SyntaxError, Image.DecompressionBombError) as error:
        raise OSError(str(error)) from error
    is_usable = np.isfinite(values) & (values >= 0)
    if not is_usable.all():
        found = values[~is_usable][0]
        raise ValueError(f"values must be finite and not negative, got {found}")
    return values
