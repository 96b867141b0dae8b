"""Format, size and kind of an encoded image, from its first bytes and before any decoding.

What this module accepts decodes to the same pixels here (Pillow) and in training (TensorFlow);
kinds on which the two disagree are refused by name.
"""

import dataclasses
import struct

READABLE_FORMATS = "JPEG, PNG, BMP, GIF, WebP"

_JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_MARKERS_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))

# TensorFlow decodes these to four channels only.
_WEBP_REFUSAL = "WebP with alpha or animation; convert it to PNG or to plain WebP."

# Magic bytes of image formats that are recognised only to say that they are not supported.
_OTHER_FORMATS = (
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"8BPS", "PSD"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
)


class ImageError(ValueError):
    """An image that gets no scores. `status` is the word that its row carries."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True)
class ImageHeader:
    """`format` is one of JPEG, PNG, BMP, GIF, WEBP; `width` and `height` are in pixels."""

    format: str
    width: int
    height: int


def read_header(data: bytes) -> ImageHeader:
    """Reads format and size of an encoded image.

    Args:
        data: The whole encoded image.

    Raises:
        ImageError: status `unreadable` for bytes that are no image or a broken header,
            `unsupported` for an image format or kind that training refuses too.
    """
    if not data:
        raise ImageError("unreadable", "The file is empty (0 bytes).")
    reader = next((reader for magic, reader in _READERS if data.startswith(magic)), None)
    if reader is None:
        raise _unknown_format(data)
    try:
        header = reader(data)
    except (struct.error, IndexError) as error:
        raise ImageError("unreadable", f"The header ends after {len(data)} bytes.") from error
    if header.width < 1 or header.height < 1:
        raise ImageError("unreadable", f"The header says {header.width}x{header.height} px.")
    return header


def _unknown_format(data: bytes) -> ImageError:
    for offset, magic, name in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            return ImageError("unsupported", f"{name} is not supported; use {READABLE_FORMATS}.")
    return ImageError(
        "unreadable", f"Not an image: it begins with {data[:12]!r}, expected {READABLE_FORMATS}."
    )


def _read_jpeg(data: bytes) -> ImageHeader:
    position = 2
    while True:
        while data[position] != 0xFF:  # Decoders skip stray bytes between segments.
            position += 1
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker in _JPEG_FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, position + 3)
            return ImageHeader("JPEG", width, height)
        if marker not in _JPEG_MARKERS_WITHOUT_LENGTH:
            position += struct.unpack_from(">H", data, position)[0]


def _read_png(data: bytes) -> ImageHeader:
    width, height, bit_depth = struct.unpack_from(">IIB", data, 16)
    if data[12:16] != b"IHDR":
        raise ImageError("unreadable", "PNG without an IHDR chunk at its start.")
    if bit_depth == 16:
        raise ImageError("unsupported", "16-bit PNG; convert it to 8 bits per channel.")
    return ImageHeader("PNG", width, height)


def _read_bmp(data: bytes) -> ImageHeader:
    header_bytes, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", data, 14)
    # TensorFlow reads palette indices as grey levels and knows no compressed or OS/2 files.
    if header_bytes < 40 or bits not in (24, 32) or compression != 0:
        raise ImageError(
            "unsupported",
            f"BMP with {bits} bits per pixel, compression {compression} and a header of"
            f" {header_bytes} bytes; expected 24 or 32 bits, uncompressed.",
        )
    return ImageHeader("BMP", width, abs(height))


def gif_end_of_blocks(data: bytes, position: int) -> int:
    """Where a row of a GIF's blocks ends, of which the last is empty; IndexError without that."""
    while data[position]:
        position += data[position] + 1
    return position + 1


def gif_first_frame(data: bytes) -> int:
    """Where a GIF's first frame begins, or what stands there instead of one."""
    flags = data[10]
    position = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    while data[position] == 0x21:  # Extension blocks before the first frame.
        position = gif_end_of_blocks(data, position + 2)
    return position


def _read_gif(data: bytes) -> ImageHeader:
    width, height = struct.unpack_from("<HH", data, 6)
    position = gif_first_frame(data)
    if data[position] != 0x2C:
        raise ImageError("unreadable", "GIF without a frame.")
    frame = struct.unpack_from("<HHHH", data, position + 1)
    if frame != (0, 0, width, height):
        raise ImageError(
            "unsupported",
            f"GIF whose first frame {frame} does not fill its canvas of {width}x{height} px.",
        )
    return ImageHeader("GIF", width, height)


def _read_webp(data: bytes) -> ImageHeader:
    if data[8:12] != b"WEBP":
        raise ImageError("unreadable", "RIFF file that is not WebP.")
    chunk = data[12:16]
    if chunk == b"VP8X":
        if data[20] & 0x12:
            raise ImageError("unsupported", _WEBP_REFUSAL)
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return ImageHeader(
            "WEBP", low_width + (high_width << 16) + 1, low_height + (high_height << 16) + 1
        )
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        if bits >> 28 & 1:
            raise ImageError("unsupported", _WEBP_REFUSAL)
        return ImageHeader("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader("WEBP", width & 0x3FFF, height & 0x3FFF)
    raise ImageError("unreadable", f"WebP with an unknown first chunk {chunk!r}.")


_READERS = (
    (b"\xff\xd8\xff", _read_jpeg),
    (b"\x89PNG\r\n\x1a\n", _read_png),
    (b"BM", _read_bmp),
    (b"GIF87a", _read_gif),
    (b"GIF89a", _read_gif),
    (b"RIFF", _read_webp),
)
