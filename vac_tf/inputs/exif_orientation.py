"""How the EXIF data of an image say that it is to be turned."""

import contextlib
import os
import struct
from collections.abc import Sequence
from typing import BinaryIO

from PIL import Image

from vac_tf.datasets.packed_images import open_image
from vac_tf.inputs.threads import in_parallel

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


def check_upright(image_paths: Sequence[str], who: str) -> None:
    """Finds out whether images lie as their masks and fixations do, which are of stored pixels.

    Args:
        image_paths: files of images.
        who: turns images as their EXIF says, for the message.

    Raises:
        ValueError: for images that are turned; the first is named.
    """
    codes = in_parallel(exif_orientation, image_paths)
    turned = [path for path, code in zip(image_paths, codes, strict=True) if code != 1]
    if turned:
        raise ValueError(
            f"{who} turns images as their EXIF orientation says (apply_exif_orientation), which"
            f" {len(turned)} of these {len(image_paths)} have, such as {turned[0]!r}; masks and"
            " fixations are of the pixels as stored. Turn the files with what is annotated, or"
            " remove their tag (exiftool -Orientation=)."
        )


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
