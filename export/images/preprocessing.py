"""From an encoded image to the network's input, without TensorFlow.

Gives what the training pipeline gives: the same pixels after decoding, and after the resize the
same values to `resize_tolerance`.
"""

import io
import math
import struct

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from export.bundle.preprocessing import Preprocessing
from export.images.bilinear import resize_bilinear
from export.images.damage import refuse_damage
from export.images.image_header import ImageError, ImageHeader, read_header
from export.images.jpeg_decoder import decode_jpeg
from export.images.png_metadata import without_metadata

_JPEG_DIVISORS = (2, 4, 8)

# The classes are called directly: `Image.open` would import every plug-in and refuse by
# Pillow's own pixel limit instead of the model's.
_DECODERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def prepare(
    data: bytes, preprocessing: Preprocessing, box: tuple[float, ...] | None = None
) -> np.ndarray:
    """Decodes, crops and resizes one image.

    Args:
        data: The encoded image.
        preprocessing: What the model wants.
        box: Optional x, y, width, height in pixels of the decoded image.

    Returns:
        `[height, width, 3]` RGB in 0..255, float32 or uint8 as the model says.

    Raises:
        ImageError: with the status of the row, see `decode` and `crop`.
    """
    return fit(cut_out(data, preprocessing, box)[0], preprocessing)


def cut_out(
    data: bytes, preprocessing: Preprocessing, box: tuple[float, ...] | None = None
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Decodes and crops one image; arguments and errors as `prepare`.

    Returns:
        uint8 RGB `[H, W, 3]`, and its left, top, right, bottom in pixels of the decoded image (of
        the whole one, also where `fast_decode` gives fewer pixels).
    """
    if box is not None:
        check_box(box)
    divisor = _choose_divisor(data, preprocessing, box) if preprocessing.fast_decode else 1
    pixels, (width, height) = _decode(
        data, preprocessing.max_pixels, preprocessing.apply_exif_orientation, divisor
    )
    if box is None:
        return pixels, (0, 0, width, height)
    shrunk_box = tuple(value / divisor for value in box)
    cut = crop(pixels, shrunk_box, preprocessing.max_pixels // divisor**2)
    return cut, box_corners(box, height, width)


def _choose_divisor(data, preprocessing, box) -> int:
    """The largest scale of a JPEG that leaves the network's input enough pixels."""
    header = read_header(data)
    if header.format != "JPEG":
        return 1
    # The shorter side against the longer: so a turn by the EXIF orientation does not matter.
    side = min(box[2:] if box else (header.width, header.height))
    needed = max(preprocessing.height, preprocessing.width)
    return max((d for d in _JPEG_DIVISORS if side // d >= needed), default=1)


def fit(pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Resizes `[H, W, 3]`, uint8 or float32, to the network's input, in the dtype it takes."""
    resized = resize(pixels, preprocessing.height, preprocessing.width, preprocessing.resize_kernel)
    return to_input_dtype(resized, preprocessing.input_dtype)


def to_input_dtype(images: np.ndarray, input_dtype: str) -> np.ndarray:
    """Pixels in 0..255 as float32, or rounded to uint8."""
    if input_dtype == "uint8":
        return np.rint(images).astype(np.uint8)
    return images.astype(np.float32, copy=False)


def decode(data: bytes, max_pixels: int, apply_exif_orientation: bool = False) -> np.ndarray:
    """Decodes by magic bytes (JPEG, PNG, BMP, GIF's first frame, WebP) to uint8 RGB `[H, W, 3]`.

    Grey, palette and CMYK become RGB; alpha is dropped.

    Raises:
        ImageError: `too_large` (from the header, before decoding), `unsupported` or `unreadable`.
    """
    return _decode(data, max_pixels, apply_exif_orientation, 1)[0]


def checked_header(data: bytes, max_pixels: int) -> ImageHeader:
    """The header of an image; ImageError as `decode`, before any decoding."""
    header = read_header(data)
    if header.width * header.height > max_pixels:
        raise ImageError(
            "too_large",
            f"{header.width}x{header.height} px is more than the limit of {max_pixels} pixels.",
        )
    return header


def _decode(data, max_pixels, apply_exif_orientation, divisor):
    """The pixels of an image shrunk by `divisor`, and its own width and height."""
    header = checked_header(data, max_pixels)
    if header.format == "JPEG" and divisor == 1 and not apply_exif_orientation:
        pixels = decode_jpeg(data, header.width, header.height)
        if pixels is not None:
            return pixels, (header.width, header.height)
    refuse_damage(data, header)
    try:
        return _decode_with_pillow(data, header, apply_exif_orientation, divisor)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Broken files make Pillow raise nearly any type; the row says it.
        if header.format == "PNG" and (plain := without_metadata(data)) != data:
            return _decode(plain, max_pixels, apply_exif_orientation, divisor)
        message = f"Broken {header.format}: {error or type(error).__name__}"
        raise ImageError("unreadable", message) from error


def _decode_with_pillow(data, header, apply_exif_orientation, divisor):
    with _DECODERS[header.format](io.BytesIO(data)) as image:
        if image.size != (header.width, header.height):
            raise ImageError(
                "unreadable",
                f"The header says {header.width}x{header.height} px, the image"
                f" {image.size[0]}x{image.size[1]}.",
            )
        size = image.size
        if divisor > 1:
            image.draft(image.mode, (size[0] // divisor, size[1] // divisor))
        image.load()
        upright = image
        if apply_exif_orientation:
            turn = _TURNS.get(_orientation(image))
            upright = image if turn is None else image.transpose(turn)
            size = size if upright.size == image.size else size[::-1]
        return _to_rgb(upright, header.format), size


def _orientation(image):
    """The EXIF code of an image, None without one; damaged EXIF data say nothing."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION)
    except (ValueError, SyntaxError, struct.error):
        return None


def _to_rgb(image: Image.Image, image_format: str) -> np.ndarray:
    if image.mode == "CMYK":
        # TensorFlow's formula; Pillow's own conversion differs by one grey level, and takes the
        # inks for inverted also in files without the Adobe marker.
        inks = np.asarray(image)
        pixels = np.empty((*inks.shape[:2], 3), np.uint8)
        for row, values in enumerate(inks):  # The whole image in int32 would take 60 bytes a pixel.
            light = (255 - values if "adobe" in image.info else values).astype(np.int32)
            pixels[row] = light[..., :3] * light[..., 3:] // 255
        return pixels
    pixels = np.asarray(image.convert("RGB"))
    if image_format == "GIF" and "transparency" in image.info:
        # TensorFlow makes transparent pixels black, Pillow gives them their palette's colour.
        is_opaque = np.asarray(image) != image.info["transparency"]
        return pixels * is_opaque[..., None].astype(np.uint8)
    return pixels


def crop(pixels: np.ndarray, box: tuple[float, ...], max_pixels: int) -> np.ndarray:
    """Cuts a box out of an image; what lies outside the image is black.

    Corners are rounded as Pillow rounds them (half to even); a box keeps at least one pixel. A
    box that has no pixel in common with the image gives the whole image.

    Args:
        pixels: uint8 `[H, W, 3]`.
        box: x, y, width, height in pixels.
        max_pixels: Limit for the area of the box.

    Raises:
        ImageError: `bad_row` for a box that is not finite or not of positive size, `too_large`
            above the limit.
    """
    check_box(box)
    height, width = pixels.shape[:2]
    left, top, right, bottom = box_corners(box, height, width)
    inner_left, inner_right = max(left, 0), min(right, width)
    inner_top, inner_bottom = max(top, 0), min(bottom, height)
    if (left, top, right, bottom) == (0, 0, width, height):
        return pixels
    if (right - left) * (bottom - top) > max_pixels:
        raise ImageError(
            "too_large",
            f"The box of {right - left}x{bottom - top} px is more than the limit of"
            f" {max_pixels} pixels.",
        )
    cut = np.zeros((bottom - top, right - left, 3), np.uint8)
    cut[inner_top - top : inner_bottom - top, inner_left - left : inner_right - left] = pixels[
        inner_top:inner_bottom, inner_left:inner_right
    ]
    return cut


def check_box(box: tuple[float, ...]) -> None:
    """Raises ImageError with `bad_row` for a box that is not finite or not of positive size."""
    x, y, width, height = box
    ends = (x, y, x + width, y + height)
    if not all(math.isfinite(value) for value in ends) or not min(width, height) > 0:
        raise ImageError(
            "bad_row", f"The box {tuple(box)} (x, y, width, height) needs a positive, finite size."
        )


def box_corners(box: tuple[float, ...], height: int, width: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what `crop` cuts out of an image of `height` x `width`."""
    x, y, box_width, box_height = box
    left, top = round(x), round(y)
    right, bottom = max(round(x + box_width), left + 1), max(round(y + box_height), top + 1)
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return 0, 0, width, height
    return left, top, right, bottom


def resize(pixels: np.ndarray, height: int, width: int, kernel: str) -> np.ndarray:
    """Resizes `[H, W, 3]` to `[height, width, 3]`.

    `bilinear` is antialiased and computed in float32; it equals `tf.image.resize(antialias=True)`
    to `resize_tolerance`. `nearest` is Pillow's own, and keeps the dtype.

    Args:
        pixels: uint8 or float32.
        height, width: Of the result in pixels.
        kernel: `bilinear` or `nearest`.
    """
    if kernel == "nearest":
        if pixels.dtype == np.uint8:
            bands = [pixels]
        else:  # Pillow has floats in single bands only.
            bands = [np.ascontiguousarray(pixels[..., channel]) for channel in range(3)]
        size, nearest = (width, height), Image.Resampling.NEAREST
        resized = [np.asarray(Image.fromarray(band).resize(size, nearest)) for band in bands]
        return resized[0] if len(resized) == 1 else np.stack(resized, axis=-1)
    return resize_bilinear(pixels, height, width)


def resize_tolerance(height: int, width: int, kernel: str) -> float:
    """How far `resize` and TensorFlow's resizing to `height` x `width` differ at most, in levels.

    `nearest`: not at all. `bilinear`: TensorFlow computes the position of a pixel in float32, so a
    weight is wrong by a few units of 2**-24 per pixel of the output (or of the image, where that
    is smaller). Measured, black and white noise of 15 to 1500 px to 16 to 1024 px: up to 5.1e-5
    grey levels per pixel, so 0.009 at 192 px, 0.022 at 448 px and 0.035 at 800 px; the bound is
    6.1e-5: four roundings of 255 levels.
    """
    return 0.0 if kernel == "nearest" else 255 * 2.0**-22 * max(height, width)
