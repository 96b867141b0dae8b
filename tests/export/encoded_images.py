"""Image files made for tests, in every format and kind that occurs."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

# Left, top, width and height of the frame of `photograph()`.
_GIF_FRAME = b"," + struct.pack("<HHHH", 0, 0, 61, 47)


def photograph(height=47, width=61, channels=4, seed=0) -> Image.Image:
    """A smooth random RGBA (or RGB) image, so that lossy formats have something to keep."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 11, channels)).astype("uint8")
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def photo(height=47, width=61, seed=0) -> np.ndarray:
    """The pixels of a `photograph`: uint8 RGB `[height, width, 3]`."""
    return np.asarray(photograph(height, width, channels=3, seed=seed))


def encode(image: Image.Image, image_format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def good_images() -> dict[str, bytes]:
    """Name -> file contents; all of them decode to the pixels that Pillow gives."""
    rgba = photograph()
    rgb = rgba.convert("RGB")
    grey, palette = rgb.convert("L"), rgb.convert("P")
    return {
        "jpeg": encode(rgb, "JPEG"),
        "jpeg_grey": encode(grey, "JPEG"),
        "jpeg_cmyk": encode(rgb.convert("CMYK"), "JPEG"),
        "jpeg_progressive": encode(rgb, "JPEG", progressive=True),
        "png": encode(rgb, "PNG"),
        "png_grey": encode(grey, "PNG"),
        "png_grey_alpha": encode(rgba.convert("LA"), "PNG"),
        "png_palette": encode(palette, "PNG"),
        "png_transparent_palette": encode(palette, "PNG", transparency=3),
        "png_alpha": encode(rgba, "PNG"),
        "png_1bit": encode(rgb.convert("1"), "PNG"),
        "gif": encode(palette, "GIF"),
        "gif_animated": encode(
            palette, "GIF", save_all=True, append_images=[grey.convert("P"), palette]
        ),
        "webp_lossy": encode(rgb, "WEBP", quality=80),
        "webp_lossless": encode(rgb, "WEBP", lossless=True),
        "webp_extended": encode(rgb, "WEBP", exif=Image.Exif()),
        "bmp": encode(rgb, "BMP"),
        "bmp_32bit": encode(rgba, "BMP"),
        "bmp_with_bytes_behind": encode(rgb, "BMP") + bytes(2),
        "png_1x1": encode(rgb.crop((0, 0, 1, 1)), "PNG"),
        "webp_1x1": encode(rgb.crop((0, 0, 1, 1)), "WEBP", lossless=True),
    }


def refused_images() -> dict[str, tuple[bytes, str]]:
    """Name -> file contents and a part of the reason why they are refused."""
    good = good_images()
    rgba = photograph()
    sixteen_bits = Image.fromarray(np.asarray(rgba)[:, :, 0].astype("uint16") * 257)
    unknown = "not a JPEG, PNG, BMP, GIF or WebP"
    return {
        "text": (b"these are words, not pixels, whatever the file is called", unknown),
        "short_text": (b"hi", unknown),
        "empty": (b"", unknown),
        "tiff": (encode(rgba, "TIFF"), unknown),
        "png_16bit": (encode(sixteen_bits, "PNG"), "16 bits per channel"),
        "bmp_palette": (encode(rgba.convert("P"), "BMP"), "BMP with a palette"),
        "webp_alpha": (encode(rgba, "WEBP", quality=80), "WebP with alpha"),
        "webp_alpha_lossless": (encode(rgba, "WEBP", lossless=True), "WebP with alpha"),
        "bmp_os2": (_bmp_with_os2_header(), "OS/2 header"),
        "bmp_compressed": (good["bmp"][:30] + b"\1" + good["bmp"][31:], "compression"),
        "gif_small_frame": (_gif_on_a_larger_canvas(), "does not fill its canvas"),
        "gif_moved_frame": (_gif_with_moved_frame(), "does not fill its canvas"),
        "gif_without_frame": (good["gif"][:40] + b"!\xfe\xff", "does not fill its canvas"),
        "gif_of_no_version": (b"GIF88a" + good["gif"][6:], unknown),
        "jpeg_header_only": (good["jpeg"][:20], "Invalid JPEG data"),
        "jpeg_truncated": (good["jpeg"][: len(good["jpeg"]) // 2], "Invalid JPEG data"),
        "png_header_only": (good["png"][:20], "header is truncated"),
        "png_truncated": (good["png"][: len(good["png"]) // 2], "Invalid PNG data"),
        "png_without_its_last_byte": (good["png"][:-1], "Invalid PNG data"),
        "png_without_end": (good["png_palette"][:-12], "Invalid PNG data"),
        "png_of_wrong_checksum": (_png_with_a_flipped_checksum(good["png"]), "Invalid PNG data"),
        "bmp_without_its_last_byte": (good["bmp"][:-1], "Input size should match"),
        "gif_without_end_of_frame": (good["gif"][:-2], "Invalid GIF data"),
        "bmp_truncated": (good["bmp"][: len(good["bmp"]) // 2], "Input size should match"),
        "webp_truncated": (
            good["webp_lossy"][: len(good["webp_lossy"]) // 2],
            "Failed to decode WebP",
        ),
        "gif_truncated": (good["gif"][: len(good["gif"]) // 2], "Invalid GIF data"),
    }


def huge_images(side=20_000) -> dict[str, bytes]:
    """Headers of images of `side` x `side` pixels; there are no pixels behind them."""
    png = b"\x89PNG\r\n\x1a\n" + _png_chunk(
        b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    )
    png += _png_chunk(b"IDAT", zlib.compress(bytes(1000))) + _png_chunk(b"IEND", b"")
    jpeg = good_images()["jpeg"]
    jpeg_frame = jpeg.index(b"\xff\xc0") + 5
    gif = bytearray(good_images()["gif"])
    frame = gif.index(_GIF_FRAME) + 5
    gif[6:10] = gif[frame : frame + 4] = struct.pack("<HH", side, side)
    bmp = bytearray(good_images()["bmp"])
    bmp[18:26] = struct.pack("<ii", side, -side)
    return {
        "png": png,
        "jpeg": jpeg[:jpeg_frame] + struct.pack(">HH", side, side) + jpeg[jpeg_frame + 4 :],
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "webp": b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + _webp_size(side) * 2 + bytes(90),
    }


def _png_chunk(kind, contents):
    return (
        struct.pack(">I", len(contents))
        + kind
        + contents
        + struct.pack(">I", zlib.crc32(kind + contents))
    )


def _webp_size(side):
    return struct.pack("<I", side - 1)[:3]


def _png_with_a_flipped_checksum(png):
    """One bit of the checksum of the pixels, which are whole."""
    place = png.index(b"IEND") - 5
    return png[:place] + bytes([png[place] ^ 1]) + png[place + 1 :]


def _gif_on_a_larger_canvas():
    gif = bytearray(good_images()["gif"])
    gif[6:10] = struct.pack("<HH", 100, 100)
    return bytes(gif)


def _gif_with_moved_frame():
    """A frame as large as its canvas that starts five pixels further right and down."""
    gif = bytearray(good_images()["gif"])
    frame = gif.index(_GIF_FRAME) + 1
    gif[frame : frame + 4] = struct.pack("<HH", 5, 5)
    return bytes(gif)


def _bmp_with_os2_header():
    """24 bits per pixel, and pixels that look like the depth of a newer header."""
    row = bytearray(3 * 61 + 1)
    row[2:4] = struct.pack("<H", 24)
    pixels = bytes(row) * 47
    header = b"BM" + struct.pack("<IHHI", 26 + len(pixels), 0, 0, 26)
    return header + struct.pack("<IHHHH", 12, 61, 47, 1, 24) + pixels
