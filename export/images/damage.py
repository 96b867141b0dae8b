"""Damage that Pillow reads over and TensorFlow, so training, refuses: ends that are cut off."""

import struct
import zlib

from export.images.image_header import ImageError, ImageHeader, gif_end_of_blocks, gif_first_frame


def refuse_damage(data: bytes, header: ImageHeader) -> None:
    """Refuses a PNG, BMP or GIF that lacks its end, and a PNG of which a checksum is wrong.

    Args:
        data: The encoded image.
        header: What its beginning says.

    Raises:
        ImageError: status `unreadable`.
    """
    check = {"PNG": _check_png, "BMP": _check_bmp, "GIF": _check_gif}.get(header.format)
    if check is None:
        return
    try:
        check(data, header)
    except (struct.error, IndexError) as error:
        reason = f"Broken {header.format}: it ends too early, after {len(data)} bytes."
        raise ImageError("unreadable", reason) from error


def _check_png(data, header):
    """Chunks that make the picture are whole, up to the one that ends the file (W3C PNG, 5.3)."""
    name, position = b"", 8
    with memoryview(data) as view:
        while name != b"IEND":
            length, name = struct.unpack_from(">I4s", data, position)
            end = position + 8 + length
            (checksum,) = struct.unpack_from(">I", data, end)
            # A name that begins with a small letter: metadata, which libpng leaves out.
            if name[:1].isupper() and zlib.crc32(view[position + 4 : end]) != checksum:
                reason = f"Broken PNG: the checksum of chunk {name!r} at {position} is wrong."
                raise ImageError("unreadable", reason)
            position = end + 4


def _check_bmp(data, header):
    (start,) = struct.unpack_from("<I", data, 10)
    (bits,) = struct.unpack_from("<H", data, 28)
    row_bytes = (header.width * bits // 8 + 3) // 4 * 4
    if len(data) < start + row_bytes * header.height:
        raise IndexError


def _check_gif(data, header):
    position = gif_first_frame(data)
    flags = data[position + 9]
    palette_bytes = 3 << ((flags & 7) + 1) if flags & 0x80 else 0
    gif_end_of_blocks(data, position + 11 + palette_bytes)
