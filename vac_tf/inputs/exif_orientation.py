"""How the EXIF data of an image say that it is to be turned."""

import contextlib
import os
import struct
from typing import BinaryIO

from PIL import Image

from vac_tf.datasets.packed_images import open_image

_TAG = 0x0112


def exif_orientation(file: str | BinaryIO) -> int:
    """The code 1..8 of an image file, by its path or opened; 1 (upright) where it says nothing."""
    try:
        with _opened(file) as stream, Image.open(stream) as image:
            code = image.getexif().get(_TAG, 1)
    except (OSError, Image.DecompressionBombError):
        return 1  # The decoder reports unreadable and too large files, with the reason.
    except (ValueError, SyntaxError, struct.error):
        code = _orientation_chunk(file)  # Pillow refuses a PNG for metadata that libpng leaves out.
    return code if code in range(1, 9) else 1  # A damaged tag may hold anything.


def _opened(source):
    return open_image(source) if isinstance(source, str) else contextlib.nullcontext(source)


def _orientation_chunk(source):
    """The EXIF orientation of a PNG, from its own chunk alone; None without one."""
    with _opened(source) as file:
        file.seek(8)
        while len(start := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", start)
            if name == b"eXIf":
                return _orientation(file.read(length))
            file.seek(length + 4, os.SEEK_CUR)
    return None


def _orientation(data):
    exif = Image.Exif()
    try:
        exif.load(data)
        return exif.get(_TAG)
    except (ValueError, SyntaxError, struct.error):
        return None  # A damaged one says nothing.
