"""Pixels and figures as parts of a page, not files beside it."""

import base64
import io

import numpy as np
from PIL import Image


def picture_bytes(pixels: np.ndarray, longest_side: int = 0, quality: int = 80) -> bytes:
    """Pixels as a JPEG file.

    Args:
        pixels: uint8 `[H, W, 3]`, or floats in 0..255.
        longest_side: in pixels; larger pictures are made smaller. 0: as they are.
        quality: of the JPEG, 1 to 95.
    """
    picture = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype("uint8"))
    if longest_side:
        picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def jpeg_address(pixels: np.ndarray, longest_side: int = 0, quality: int = 80) -> str:
    """Pixels as an address (`data:`) for `<img src>`; arguments as `picture_bytes`."""
    return _address("image/jpeg", picture_bytes(pixels, longest_side, quality))


def png_address(pixels: np.ndarray) -> str:
    """Likewise without loss, for few colours and sharp edges."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype("uint8"))
    picture.save(buffer, "PNG", optimize=True)
    return _address("image/png", buffer.getvalue())


def _address(kind: str, contents: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(contents).decode('ascii')}"
