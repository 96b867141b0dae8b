"""The usual JPEG through libjpeg-turbo by simplejpeg: Pillow's pixels in half of its time."""

import numpy as np

try:
    import simplejpeg
except ImportError:  # Pillow alone gives the same rows.
    simplejpeg = None

# Of the others (CMYK, YCCK, RGB) Pillow's reading is the one that training agrees with.
_COLOUR_SPACES = ("YCbCr", "Gray")


def decode_jpeg(data: bytes, width: int, height: int) -> np.ndarray | None:
    """Decodes a JPEG that is whole and usual.

    Args:
        data: The encoded image.
        width: What its header says.
        height: What its header says.

    Returns:
        uint8 RGB `[height, width, 3]`; None where simplejpeg is not installed, or the file is
        broken in the least or of another colour space: then Pillow decides what to make of it.
    """
    if simplejpeg is None:
        return None
    try:
        found_height, found_width, colour_space, _ = simplejpeg.decode_jpeg_header(data)
        if (found_width, found_height) != (width, height) or colour_space not in _COLOUR_SPACES:
            return None
        # strict: what libjpeg only warns of (data that end early) is an error.
        return simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, strict=True)
    except ValueError:
        return None
