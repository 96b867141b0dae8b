"""The scorer's decoding and resizing against TensorFlow's, which training uses."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps, PngImagePlugin

from export.bundle.preprocessing import Preprocessing
from export.images.image_header import ImageError, read_header
from export.images.preprocessing import crop, decode, prepare, resize, resize_tolerance
from tests.export.encoded_images import encode, photo, refused_images
from vac_tf.datasets.split import Split
from vac_tf.geometry.boxes import crop_boxes
from vac_tf.inputs.decoding import crop as crop_in_training
from vac_tf.inputs.image_source import ImageSettings, ImageSource

LIMIT = 10_000_000
REFUSED_IN_TRAINING = refused_images()


def header_of_png(width, height, bit_depth=8):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, bit_depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + b"\0\0\0\0"


def tensorflow_decode(data):
    if data.startswith(b"\xff\xd8"):
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()


def without_adobe_marker(data):
    start = data.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", data, start + 2)
    return data[:start] + data[start + 2 + length :]


def transparent_gif():
    image = Image.fromarray(photo()).convert("P")
    return encode(image, "GIF", transparency=image.getpixel((30, 20)))


RGB = Image.fromarray(photo())
CMYK = Image.fromarray(np.concatenate([photo(), photo(seed=1)[..., :1]], -1), "CMYK")
RGBA = Image.fromarray(np.concatenate([photo(), photo(seed=1)[..., :1]], -1), "RGBA")
ENCODED = {
    "jpeg": encode(RGB, "JPEG", quality=90),
    "jpeg of low quality": encode(RGB, "JPEG", quality=20, subsampling=2),
    "jpeg without subsampling": encode(RGB, "JPEG", subsampling=0),
    "progressive jpeg": encode(RGB, "JPEG", progressive=True),
    "grey jpeg": encode(RGB.convert("L"), "JPEG"),
    "cmyk jpeg": encode(CMYK, "JPEG", quality=95),
    "cmyk jpeg without the Adobe marker": without_adobe_marker(encode(CMYK, "JPEG", quality=95)),
    "png": encode(RGB, "PNG"),
    "grey png": encode(RGB.convert("L"), "PNG"),
    "grey png with alpha": encode(RGB.convert("LA"), "PNG"),
    "png with alpha": encode(RGBA, "PNG"),
    "palette png": encode(RGB.convert("P"), "PNG"),
    "palette png with a transparent colour": encode(RGB.convert("P"), "PNG", transparency=3),
    "4-bit palette png": encode(RGB.quantize(16), "PNG", bits=4),
    "1-bit png": encode(RGB.convert("1"), "PNG"),
    "bmp": encode(RGB, "BMP"),
    "32-bit bmp": encode(RGBA, "BMP"),
    "gif": encode(RGB.convert("P"), "GIF"),
    "gif with a transparent colour": transparent_gif(),
    "animated gif": encode(
        RGB.convert("P"),
        "GIF",
        save_all=True,
        append_images=[Image.fromarray(photo(seed=2)).convert("P")],
    ),
    "webp": encode(RGB, "WEBP", quality=80),
    "lossless webp": encode(RGB, "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", ENCODED)
def test_decode_equals_tensorflow(name):
    np.testing.assert_array_equal(decode(ENCODED[name], LIMIT), tensorflow_decode(ENCODED[name]))


BIG = bytes(1_500_000)  # Compresses to 1.5 kB.


def png_with_big_metadata(kind):
    options = {"icc_profile": BIG}
    if kind != "colour profile":
        text = PngImagePlugin.PngInfo()
        add = {"zTXt": text.add_text, "iTXt": text.add_itxt}[kind]
        add("comment", BIG.decode(), zip=True)
        options = {"pnginfo": text}
    return encode(RGB, "PNG", **options)


@pytest.mark.parametrize("kind", ["colour profile", "zTXt", "iTXt"])
def test_a_png_with_large_compressed_metadata_is_decoded_as_in_training(kind, tmp_path):
    data = png_with_big_metadata(kind)
    assert len(data) < 20_000
    np.testing.assert_array_equal(decode(data, LIMIT), tensorflow_decode(data))
    turned = with_orientation(data, 6)
    (tmp_path / "turned.png").write_bytes(turned)
    split = Split((str(tmp_path / "turned.png"),), np.ones((1, 1), np.float32), ("a",))
    source = ImageSource(split, ImageSettings(8, apply_exif_orientation=True))
    expected = np.asarray(source.load(0))
    assert expected.shape == (RGB.width, RGB.height, 3)
    np.testing.assert_array_equal(decode(turned, LIMIT, True), expected)


@pytest.mark.parametrize("contents", [b"", b"XXXXXXXXXX", b"MM\0*", b"II*\0\x08\0\0\0\xff\xff"])
def test_damaged_exif_data_of_a_png_turn_nothing_here_and_in_training(tmp_path, contents):
    data = with_exif(encode(RGB, "PNG"), contents)
    path = tmp_path / "damaged.png"
    path.write_bytes(data)
    split = Split((str(path),), np.ones((1, 1), np.float32), ("a",))
    source = ImageSource(split, ImageSettings(8, apply_exif_orientation=True))
    np.testing.assert_array_equal(source.load(0), np.asarray(RGB))
    np.testing.assert_array_equal(decode(data, LIMIT, True), np.asarray(RGB))


def with_orientation(png, code):
    """A PNG with an eXIf chunk behind its header."""
    exif = Image.Exif()
    exif[0x0112] = code
    return with_exif(png, exif.tobytes().removeprefix(b"Exif\0\0"))


def with_exif(png, contents):
    body = b"eXIf" + contents
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def test_a_transparent_colour_of_a_gif_is_black_when_turned_upright_too():
    data = ENCODED["gif with a transparent colour"]
    np.testing.assert_array_equal(decode(data, LIMIT, True), tensorflow_decode(data))


@pytest.mark.parametrize("name", ENCODED)
def test_header_gives_the_size(name):
    header = read_header(ENCODED[name])
    assert (header.width, header.height) == RGB.size


def test_all_coco_photographs_decode_as_in_tensorflow(real_data):
    paths = sorted(real_data("coco128").rglob("*.jpg"))
    assert len(paths) == 128
    for path in paths:
        data = path.read_bytes()
        np.testing.assert_array_equal(decode(data, LIMIT), tensorflow_decode(data), str(path))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (47, 61), (33, 500), (225, 223), (480, 640)])
@pytest.mark.parametrize("size", [(32, 32), (96, 64), (224, 224)])
def test_bilinear_equals_tensorflow_with_antialias(shape, size):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = tf.image.resize(image, size, antialias=True).numpy()
    tolerance = resize_tolerance(*size, "bilinear")
    np.testing.assert_allclose(resize(image, *size, "bilinear"), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("size_in, size_out", [(15, 16), (199, 192), (270, 288), (447, 448)])
def test_the_tolerance_of_bilinear_is_close_to_what_is_measured(size_in, size_out):
    noise = np.random.default_rng(0).integers(0, 2, (size_in, size_in, 1)).repeat(3, axis=2)
    image = (255 * noise).astype(np.uint8)
    expected = tf.image.resize(image, (size_out, size_out), antialias=True).numpy()
    difference = np.abs(resize(image, size_out, size_out, "bilinear") - expected).max()
    assert 0.3 < difference / resize_tolerance(size_out, size_out, "bilinear") < 1.0


def test_nearest_equals_pillow():
    for shape in ((480, 640), (333, 500), (1, 3), (225, 223)):
        image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        for size in ((192, 192), (96, 64), (224, 224), (288, 288)):
            expected = Image.fromarray(image).resize(size[::-1], Image.Resampling.NEAREST)
            np.testing.assert_array_equal(resize(image, *size, "nearest"), expected)


def test_uint8_input_is_the_rounded_float_input():
    data = ENCODED["jpeg"]
    exact = prepare(data, Preprocessing(32, 24))
    rounded = prepare(data, Preprocessing(32, 24, input_dtype="uint8"))
    assert exact.dtype == np.float32 and rounded.dtype == np.uint8
    assert exact.shape == rounded.shape == (32, 24, 3)
    assert np.abs(exact - rounded).max() <= 0.5


def test_exif_orientation_is_ignored_unless_asked_for():
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was held upright: turn clockwise.
    data = encode(RGB, "JPEG", quality=95, exif=exif)
    as_stored = decode(data, LIMIT)
    np.testing.assert_array_equal(as_stored, decode(encode(RGB, "JPEG", quality=95), LIMIT))
    np.testing.assert_array_equal(decode(data, LIMIT, True), np.rot90(as_stored, -1))


@pytest.mark.parametrize("code", range(10))
def test_every_exif_orientation_turns_as_pillow_does(code):
    data = with_orientation(encode(RGB, "PNG"), code)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode(data, LIMIT, True), ImageOps.exif_transpose(image))


@pytest.mark.parametrize(
    "box", [(3.5, 4.5, 20, 10), (0, 0, 61, 47), (-5.2, -3, 30, 30), (50.4, 40.6, 30.3, 30.1)]
)
def test_crop_equals_pillow(box):
    x, y, width, height = box
    expected = np.asarray(RGB.crop((x, y, x + width, y + height)))
    np.testing.assert_array_equal(crop(photo(), box, LIMIT), expected)


@pytest.mark.parametrize("box", [(61, 0, 5, 5), (0, 47, 5, 5), (-9, 0, 9, 5), (200, 200, 1, 1)])
def test_a_box_beside_the_image_gives_the_whole_image(box):
    np.testing.assert_array_equal(crop(photo(), box, LIMIT), photo())


def test_a_box_narrower_than_a_pixel_keeps_one():
    assert crop(photo(), (10.1, 10.1, 0.2, 0.2), LIMIT).shape == (1, 1, 3)


def with_bytes(data, position, replacement):
    return data[:position] + replacement + data[position + len(replacement) :]


SMALL_FRAME_GIF = with_bytes(ENCODED["gif"], 6, struct.pack("<HH", 80, 80))
BAD = {
    "zero bytes": (b"", "unreadable"),
    "text": (b"this is no photograph", "unreadable"),
    "jpeg cut in half": (ENCODED["jpeg"][: len(ENCODED["jpeg"]) // 2], "unreadable"),
    "jpeg cut in its header": (ENCODED["jpeg"][:30], "unreadable"),
    "png cut in half": (ENCODED["png"][: len(ENCODED["png"]) // 2], "unreadable"),
    "webp cut in half": (ENCODED["webp"][: len(ENCODED["webp"]) // 2], "unreadable"),
    "20000 x 20000 png": (header_of_png(20000, 20000), "too_large"),
    "16-bit png": (encode(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"), "unsupported"),
    "16-bit colour png": (header_of_png(8, 8, bit_depth=16), "unsupported"),
    "palette bmp": (encode(RGB.convert("P"), "BMP"), "unsupported"),
    "1-bit bmp": (encode(RGB.convert("1"), "BMP"), "unsupported"),
    "gif with a small first frame": (SMALL_FRAME_GIF, "unsupported"),
    "tiff": (encode(RGB, "TIFF"), "unsupported"),
    "webp with alpha": (encode(RGBA, "WEBP", lossless=True), "unsupported"),
    "lossy webp with alpha": (encode(RGBA, "WEBP", quality=50), "unsupported"),
    "animated webp": (
        encode(RGB, "WEBP", save_all=True, append_images=[Image.fromarray(photo(seed=2))]),
        "unsupported",
    ),
}


@pytest.mark.parametrize("name", REFUSED_IN_TRAINING)
def test_what_training_refuses_is_refused(name):
    with pytest.raises(ImageError):
        decode(REFUSED_IN_TRAINING[name][0], LIMIT)


@pytest.mark.parametrize("name", BAD)
def test_bad_images_are_refused_with_a_status(name):
    data, status = BAD[name]
    with pytest.raises(ImageError) as caught:
        decode(data, LIMIT)
    assert caught.value.status == status
    assert str(caught.value)


def test_the_pixel_limit_is_the_models_own():
    assert decode(ENCODED["png"], 47 * 61).shape == (47, 61, 3)
    with pytest.raises(ImageError, match="61x47 px is more than the limit of 2866"):
        decode(ENCODED["png"], 47 * 61 - 1)


NAN, HUGE = float("nan"), 1e308


@pytest.mark.parametrize(
    "box",
    [(0, 0, 0, 5), (0, 0, 5, -1), (NAN, 0, 5, 5), (0, 0, NAN, 5), (HUGE, 0, HUGE, 5)],
)
def test_a_box_without_a_size_is_a_bad_row(box):
    with pytest.raises(ImageError) as caught:
        crop(photo(), box, LIMIT)
    assert caught.value.status == "bad_row"


def test_a_huge_box_is_refused_before_it_takes_memory():
    with pytest.raises(ImageError) as caught:
        crop(photo(), (0, 0, 1e6, 1e6), LIMIT)
    assert caught.value.status == "too_large"


def test_a_box_beyond_all_integers_has_the_same_verdict_in_training():
    pixels = photo()
    huge = [
        (0, 0, 1e19, 5),
        (-1e19, 0, 2e19, 5),
        (-1e300, -1e300, 2e300, 2e300),
        (0, 0, 4e9, 4e9),  # The area is beyond 64 bits, the sides are not.
    ]
    for box in huge:
        with pytest.raises(ImageError, match="The box of .* is more than the limit"):
            crop(pixels, box, LIMIT)
        with pytest.raises(tf.errors.InvalidArgumentError, match="a box of more than"):
            crop_in_training(tf.constant(pixels), crop_boxes([box])[0], "a.png", LIMIT)
    for box in [(1e19, 0, 5, 5), (-1e19, 0, 5, 5), (-1e19, 0, 1e19, 5)]:  # Beside the image.
        assert crop(pixels, box, LIMIT).shape == pixels.shape
        cut = crop_in_training(tf.constant(pixels), crop_boxes([box])[0], "a.png", LIMIT)
        np.testing.assert_array_equal(cut, pixels)


def test_unknown_kernel_lists_the_known_ones():
    with pytest.raises(ValueError, match="bilinear, nearest"):
        Preprocessing(8, 8, resize_kernel="lanczos")
