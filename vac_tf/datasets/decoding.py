"""Decoding of image files in TensorFlow: by magic bytes, with a pixel limit, then the crop.

The rules are those of the ONNX scorer, which decodes with Pillow: both give the same pixels.
"""

import tensorflow as tf

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = b"GIF8"
_BMP = b"BM"
_RIFF = b"RIFF"


def decode_image(contents, path, max_pixels: int):
    """Decodes one image file: JPEG, PNG, BMP, GIF (first frame) or WebP; grey and CMYK become RGB.

    Args:
        contents: Scalar string tensor, the bytes of the file.
        path: Scalar string tensor, named in errors.
        max_pixels: Larger images are refused from their header, before they are decoded.

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        tf.errors.InvalidArgumentError: not an image of these formats, truncated, too large, a
            16-bit PNG, or a BMP with a palette (which TensorFlow would decode wrongly).
    """
    is_jpeg = _starts_with(contents, _JPEG)
    is_png = _starts_with(contents, _PNG)
    is_gif = _starts_with(contents, _GIF)
    is_bmp = _starts_with(contents, _BMP)
    is_webp = _starts_with(contents, _RIFF) & (tf.strings.substr(contents, 8, 4) == b"WEBP")
    known = is_jpeg | is_png | is_gif | is_bmp | is_webp
    with tf.control_dependencies(
        [_require(known, path, "not a JPEG, PNG, BMP, GIF or WebP image")]
    ):
        contents = tf.identity(contents)
    size = tf.case(
        [
            (is_jpeg, lambda: tf.image.extract_jpeg_shape(contents)[:2]),
            (is_png, lambda: _png_size(contents, path)),
            (is_gif, lambda: _integers(contents, 6, tf.uint16, 2)[::-1]),
            (is_bmp, lambda: _bmp_size(contents, path)),
        ],
        default=lambda: _webp_size(contents, path),
    )
    pixels = tf.cast(size[0], tf.int64) * tf.cast(size[1], tf.int64)
    with tf.control_dependencies(
        [_require(pixels <= max_pixels, path, f"more than {max_pixels} pixels (max_pixels)")]
    ):
        contents = tf.identity(contents)
    # decode_image takes no dct_method; TensorFlow's default is up to 20 grey levels off Pillow.
    image = tf.cond(
        is_jpeg,
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


def orient(image, orientation):
    """Turns `[H, W, 3]` upright, `orientation` being the EXIF code 1..8 (scalar int32)."""
    # code -> (transposed first, then rows reversed, then columns reversed)
    operations = {2: (0, 0, 1), 3: (0, 1, 1), 4: (0, 1, 0), 5: (1, 0, 0), 6: (1, 0, 1)}
    operations |= {7: (1, 1, 1), 8: (1, 1, 0)}

    def turned(transpose, rows, columns):
        result = tf.transpose(image, (1, 0, 2)) if transpose else image
        return tf.reverse(result, [axis for axis, on in ((0, rows), (1, columns)) if on])

    branches = [
        (tf.equal(orientation, code), lambda operation=operation: turned(*operation))
        for code, operation in operations.items()
    ]
    return tf.ensure_shape(tf.case(branches, default=lambda: image), (None, None, 3))


def crop(image, corners):
    """Cuts `corners` (left, top, right, bottom; int32 `[4]`, pixels) out of `[H, W, 3]`.

    What lies outside the image is black; a box that does not touch the image gives the whole
    image (as in the authors' release).
    """
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    left, top, right, bottom = tf.unstack(corners)
    first_row, last_row = tf.maximum(top, 0), tf.minimum(bottom, height)
    first_column, last_column = tf.maximum(left, 0), tf.minimum(right, width)

    def cut():
        inside = image[first_row:last_row, first_column:last_column]
        return tf.pad(
            inside,
            [
                [first_row - top, bottom - last_row],
                [first_column - left, right - last_column],
                [0, 0],
            ],
        )

    touches = (first_row < last_row) & (first_column < last_column)
    return tf.ensure_shape(tf.cond(touches, cut, lambda: image), (None, None, 3))


def _starts_with(contents, magic):
    return tf.equal(tf.strings.substr(contents, 0, len(magic)), magic)


def _require(condition, path, reason):
    return tf.debugging.Assert(condition, [path, reason])


def _integers(contents, position, dtype, count, big_endian=False):
    """int32 `[count]` unsigned integers of `dtype` at a byte position."""
    raw = tf.strings.substr(contents, position, count * dtype.size)
    values = tf.io.decode_raw(raw, dtype, little_endian=not big_endian)
    return tf.cast(values, tf.int32)


def _png_size(contents, path):
    with tf.control_dependencies(
        [
            _require(tf.strings.length(contents) > 24, path, "truncated PNG header"),
            _require(
                _integers(contents, 24, tf.uint8, 1)[0] <= 8,
                path,
                "a PNG of 16 bits per channel; convert it to 8 bits",
            ),
        ]
    ):
        width_height = _integers(contents, 16, tf.int32, 2, big_endian=True)
    return width_height[::-1]


def _bmp_size(contents, path):
    with tf.control_dependencies(
        [
            _require(tf.strings.length(contents) > 30, path, "truncated BMP header"),
            _require(
                _integers(contents, 28, tf.uint16, 1)[0] >= 24,
                path,
                "a BMP with a palette; convert it to 24 bits or to PNG",
            ),
        ]
    ):
        width_height = _integers(contents, 18, tf.int32, 2)
    return tf.abs(width_height[::-1])


def _webp_size(contents, path):
    """Height and width from the header of the three kinds of WebP files."""
    with tf.control_dependencies(
        [_require(tf.strings.length(contents) >= 30, path, "truncated WebP header")]
    ):
        kind = tf.strings.substr(contents, 12, 4)
    header = _integers(contents, 20, tf.uint8, 10)

    def extended():
        return header[7] + header[8] * 256 + header[9] * 65536 + 1, (
            header[4] + header[5] * 256 + header[6] * 65536 + 1
        )

    def lossless():
        bits = header[1] + header[2] * 256 + header[3] * 65536
        width = bits % 16384 + 1
        height = bits // 16384 + header[4] * 1024
        return height % 16384 + 1, width

    def lossy():
        return (header[8] + header[9] * 256) % 16384, (header[6] + header[7] * 256) % 16384

    height, width = tf.case(
        [(tf.equal(kind, b"VP8X"), extended), (tf.equal(kind, b"VP8L"), lossless)], default=lossy
    )
    return tf.stack([height, width])
