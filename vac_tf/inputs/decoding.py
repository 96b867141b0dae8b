"""Decoding of image files in TensorFlow: by magic bytes, with a pixel limit, then the crop.

The rules are those of the ONNX scorer, which decodes with Pillow: both give the same pixels.
"""

import tensorflow as tf

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_GIF_87, _GIF_89 = b"GIF87a", b"GIF89a"
_BMP = b"BM"
_RIFF = b"RIFF"
_HEADER_BYTES = 40  # More than any of the headers read here.
_BMP_HEADERS = (40, 52, 56, 64, 108, 124)  # Sizes that Pillow reads; 12 is OS/2.


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
            16-bit PNG, a BMP with a palette (which TensorFlow would decode wrongly), compression
            or an OS/2 header, a WebP with alpha or animation, or a GIF whose first frame does not
            fill its canvas.
            Called eagerly, the message is the bare reason.
    """
    if tf.executing_eagerly():
        return _decode(contents, path, max_pixels)
    return _decode_in_graph(contents, path, max_pixels)


def _decode(contents, path, max_pixels):
    size = _header_size(contents, path)
    pixels = tf.cast(size[0], tf.int64) * tf.cast(size[1], tf.int64)
    reason = f"more than {max_pixels} pixels (max_pixels)"
    with tf.control_dependencies([_require(pixels <= max_pixels, path, reason)]):
        contents = tf.identity(contents)
    # decode_image takes no dct_method; TensorFlow's default is up to 20 grey levels off Pillow.
    image = tf.cond(
        _starts_with(_header(contents), _JPEG),
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(
            _without_trailing_bytes(contents), channels=3, expand_animations=False
        ),
    )
    return tf.ensure_shape(image, (None, None, 3))


# A function of a dataset that is traced without autograph: none of ours needs it, and to convert it
# takes three times as long as to trace it, at every start of a program.
as_it_is = tf.autograph.experimental.do_not_convert
# Each epoch has a dataset of its own, which would trace these many small operations again.
_decode_in_graph = tf.function(_decode, autograph=False)


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


def crop(image, corners, path="", max_pixels: int = 2**62):
    """Cuts `corners` (left, top, right, bottom; `[4]`, pixels) out of `[H, W, 3]`.

    What lies outside the image is black; a box that does not touch the image gives the whole
    image (as in the authors' release).

    Raises:
        tf.errors.InvalidArgumentError: naming `path`, when the box has more than `max_pixels`.
    """
    height, width = tf.unstack(tf.shape(image, tf.int64)[:2])
    left, top, right, bottom = tf.unstack(tf.cast(corners, tf.int64))
    first_row, last_row = tf.maximum(top, 0), tf.minimum(bottom, height)
    first_column, last_column = tf.maximum(left, 0), tf.minimum(right, width)

    def cut():
        # In floating point: the product of two sides may not fit into 64 bits.
        area = tf.cast(right - left, tf.float64) * tf.cast(bottom - top, tf.float64)
        reason = f"a box of more than {max_pixels} pixels (max_pixels)"
        with tf.control_dependencies([_require(area <= max_pixels, path, reason)]):
            inside = tf.identity(image[first_row:last_row, first_column:last_column])
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


def _header_size(contents, path):
    """int32 `[2]`: height and width in pixels, of a file of a known format."""
    header = _header(contents)
    is_jpeg, is_png, is_bmp = (_starts_with(header, magic) for magic in (_JPEG, _PNG, _BMP))
    is_gif = _starts_with(header, _GIF_87) | _starts_with(header, _GIF_89)
    is_webp = _starts_with(header, _RIFF) & tf.equal(tf.strings.substr(header, 8, 4), b"WEBP")
    is_known = is_jpeg | is_png | is_gif | is_bmp | is_webp
    requirements = [
        _require(is_known, path, "not a JPEG, PNG, BMP, GIF or WebP image"),
        _require(is_jpeg | (tf.strings.length(contents) >= 26), path, "the header is truncated"),
    ]
    with tf.control_dependencies(requirements):
        contents = tf.identity(contents)
    return tf.case(
        [
            (is_jpeg, lambda: tf.image.extract_jpeg_shape(contents)[:2]),
            (is_png, lambda: _png_size(header, path)),
            (is_gif, lambda: _gif_size(contents, path)),
            (is_bmp, lambda: _bmp_size(header, path)),
        ],
        default=lambda: _webp_size(header, path),
    )


def _header(contents):
    """The first bytes, filled up with zeros: reading past the end is an error of its own.

    Such an error would quote the raw bytes, which Python cannot even turn into an exception.
    """
    return tf.strings.join([tf.strings.substr(contents, 0, _HEADER_BYTES), bytes(_HEADER_BYTES)])


def _starts_with(header, magic):
    return tf.equal(tf.strings.substr(header, 0, len(magic)), magic)


def _require(condition, path, reason):
    if not tf.executing_eagerly():
        return tf.debugging.Assert(condition, [path, reason])
    if not condition:
        raise tf.errors.InvalidArgumentError(None, None, reason)
    return None


def _integers(header, position, dtype, count, big_endian=False):
    """int32 `[count]` unsigned integers of `dtype` at a byte position."""
    raw = tf.strings.substr(header, position, count * dtype.size)
    values = tf.io.decode_raw(raw, dtype, little_endian=not big_endian)
    return tf.cast(values, tf.int32)


def _png_size(header, path):
    depth = _integers(header, 24, tf.uint8, 1)[0]
    reason = "a PNG of 16 bits per channel; convert it to 8 bits"
    with tf.control_dependencies([_require(depth <= 8, path, reason)]):
        width_height = _integers(header, 16, tf.int32, 2, big_endian=True)
    return width_height[::-1]


def _gif_size(contents, path):
    """Height and width of the canvas, after a check that the first frame fills it.

    TensorFlow gives the frame and Pillow the canvas; a box would lie elsewhere.
    """
    # Zeros behind the end: a search that finds no frame reads a frame of no size there.
    data = tf.cast(tf.io.decode_raw(contents, tf.uint8), tf.int32)
    length = tf.size(data)
    data = tf.pad(data, [[0, 13]])
    palette = tf.where(data[10] >= 128, tf.bitwise.left_shift(6, data[10] % 8), 0)

    def is_extension(position, is_inside):
        return (position < length) & (is_inside | tf.equal(data[position], 0x21))

    def skip(position, is_inside):
        # Inside: blocks of data[position] bytes, the last of none. Outside: marker and label.
        step = tf.where(is_inside, data[position] + 1, 2)
        return tf.minimum(position + step, length), ~is_inside | (data[position] != 0)

    start = tf.minimum(13 + palette, length)
    position, _ = tf.while_loop(is_extension, skip, (start, tf.constant(False)))
    values = data[position + 1 : position + 9] + 256 * data[position + 2 : position + 10]
    canvas = data[6:10] + 256 * data[7:11]
    is_whole = tf.reduce_all(tf.equal(values[::2], [0, 0, canvas[0], canvas[2]]))
    reason = "a GIF whose first frame does not fill its canvas; convert it to PNG"
    with tf.control_dependencies([_require(is_whole, path, reason)]):
        return tf.stack([canvas[2], canvas[0]])


def _bmp_size(header, path):
    header_bytes = _integers(header, 14, tf.int32, 1)[0]
    bits = _integers(header, 28, tf.uint16, 1)[0]
    compression = _integers(header, 30, tf.int32, 1)[0]
    is_plain = ((bits == 24) | (bits == 32)) & (compression == 0)
    is_plain &= tf.reduce_any(tf.equal(header_bytes, _BMP_HEADERS))
    reason = "a BMP with a palette, compression or an OS/2 header; convert it to 24 bits or to PNG"
    with tf.control_dependencies([_require(is_plain, path, reason)]):
        width_height = _integers(header, 18, tf.int32, 2)
    return tf.abs(width_height[::-1])


def _without_trailing_bytes(contents):
    """A BMP that ends with its pixels: TensorFlow refuses what some programs write behind them."""
    header = _header(contents)
    start = tf.cast(_integers(header, 10, tf.int32, 1)[0], tf.int64)
    bits = tf.cast(_integers(header, 28, tf.uint16, 1)[0], tf.int64)
    width_height = tf.cast(_integers(header, 18, tf.int32, 2), tf.int64)
    row_bytes = (width_height[0] * bits // 8 + 3) // 4 * 4
    end = tf.clip_by_value(start + row_bytes * tf.abs(width_height[1]), 0, 2**31 - 1)
    length = tf.where(_starts_with(header, _BMP), tf.cast(end, tf.int32), 2**31 - 1)
    return tf.strings.substr(contents, 0, length)


def _webp_size(header, path):
    """Height and width from the header of the three kinds of WebP files."""
    kind = tf.strings.substr(header, 12, 4)
    is_extended, is_lossless = tf.equal(kind, b"VP8X"), tf.equal(kind, b"VP8L")
    values = _integers(header, 20, tf.uint8, 10)
    # TensorFlow decodes alpha and animations to four channels only.
    has_alpha_or_frames = (is_extended & (tf.bitwise.bitwise_and(values[0], 0x12) != 0)) | (
        is_lossless & (tf.bitwise.bitwise_and(values[4], 0x10) != 0)
    )
    reason = "a WebP with alpha or animation; convert it to PNG or to plain WebP"
    with tf.control_dependencies([_require(~has_alpha_or_frames, path, reason)]):
        values = tf.identity(values)

    def extended():
        return values[7] + values[8] * 256 + values[9] * 65536 + 1, (
            values[4] + values[5] * 256 + values[6] * 65536 + 1
        )

    def lossless():
        bits = values[1] + values[2] * 256 + values[3] * 65536
        width = bits % 16384 + 1
        height = bits // 16384 + values[4] * 1024
        return height % 16384 + 1, width

    def lossy():
        return (values[8] + values[9] * 256) % 16384, (values[6] + values[7] * 256) % 16384

    height, width = tf.case([(is_extended, extended), (is_lossless, lossless)], default=lossy)
    return tf.stack([height, width])
