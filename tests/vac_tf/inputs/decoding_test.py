"""Decoding: the pixels of Pillow, and a named reason for what is refused."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.export.encoded_images import encode, good_images, huge_images, photograph, refused_images
from vac_tf.inputs.decoding import crop, decode_image, orient

GOOD, REFUSED, HUGE = good_images(), refused_images(), huge_images()


@tf.function(input_signature=[tf.TensorSpec((), tf.string)] * 2)
def decode_in_graph(contents, path):
    return decode_image(contents, path, max_pixels=10_000_000)


@pytest.mark.parametrize("name", GOOD)
def test_pixels_equal_pillow(name):
    with Image.open(io.BytesIO(GOOD[name])) as image:
        expected = np.asarray(image.convert("RGB"))
    decoded = decode_in_graph(GOOD[name], name)
    assert decoded.dtype == tf.uint8
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_images_say_why(name):
    contents, reason = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        decode_in_graph(contents, name)
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        decode_image(tf.constant(contents), tf.constant(name), 10_000_000)


@pytest.mark.parametrize("name", HUGE)
def test_pixel_limit_is_read_from_the_header(name):
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 10000000 pixels"):
        decode_in_graph(HUGE[name], name)


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp_lossy", "webp_lossless", "bmp"])
def test_pixel_limit_counts_height_times_width(name):
    contents = tf.constant(GOOD[name])
    assert decode_image(contents, tf.constant(name), 47 * 61).shape == (47, 61, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 2866 pixels"):
        decode_image(contents, tf.constant(name), 47 * 61 - 1)


@pytest.mark.parametrize("height, width", [(300, 17), (16383, 2), (2, 16383), (5, 4097)])
@pytest.mark.parametrize("lossless", [True, False])
def test_webp_sizes_are_read_from_their_bits(height, width, lossless):
    contents = encode(Image.new("RGB", (width, height)), "WEBP", lossless=lossless)
    assert decode_in_graph(contents, "webp").shape == (height, width, 3)


@pytest.mark.parametrize("code", range(1, 9))
def test_orientation_equals_pillow(code):
    image = photograph(7, 5, channels=3)
    exif = Image.Exif()
    exif[0x0112] = code
    with Image.open(io.BytesIO(encode(image, "PNG", exif=exif))) as tagged:
        expected = np.asarray(ImageOps.exif_transpose(tagged))
    turned = tf.function(orient)(tf.constant(np.asarray(image)), tf.constant(code))
    np.testing.assert_array_equal(turned, expected)


@pytest.mark.parametrize("code", [0, 9, -1])
def test_unknown_orientation_changes_nothing(code):
    image = tf.constant(np.asarray(photograph(7, 5, channels=3)))
    np.testing.assert_array_equal(orient(image, tf.constant(code)), image)


def resolve_crop(
    left: int, top: int, right: int, bottom: int, width: int, height: int
) -> tuple[int, int, int, int]:
    """The crop to take from an image of `width` x `height` pixels.

    A crop that sticks out stays as it is (outside is black). One that has no pixel in common
    with the image becomes the whole image, as in the 2019 release of VAC, which does so for a
    box whose left or top corner lies beyond the image.

    Returns:
        left, top, right, bottom; right and bottom exclusive.
    """
    overlaps = left < width and top < height and right > 0 and bottom > 0
    return (left, top, right, bottom) if overlaps else (0, 0, width, height)


def test_only_a_crop_without_any_pixel_of_the_image_becomes_the_whole_image():
    whole = (0, 0, 10, 8)
    for left in range(-3, 13):
        for top in range(-3, 11):
            crop = (left, top, left + 2, top + 2)
            columns = set(range(left, left + 2)) & set(range(10))
            rows = set(range(top, top + 2)) & set(range(8))
            expected = crop if columns and rows else whole
            assert resolve_crop(*crop, width=10, height=8) == expected


def test_crops_equal_pillow_inside_and_outside_of_the_image():
    image = photograph(7, 5, channels=3)
    pixels = tf.constant(np.asarray(image))
    in_graph = tf.function(crop, input_signature=[pixels_spec(), tf.TensorSpec((4,), tf.int32)])
    generator = np.random.default_rng(0)
    corners = generator.integers(-6, 14, (200, 4))
    corners[:, :2] = generator.integers(-4, 6, (200, 2))
    corners[:, 2:] = corners[:, :2] + np.abs(corners[:, 2:]) + 1
    num_beside = 0
    for corner in corners.tolist():
        expected = resolve_crop(*corner, width=5, height=7)
        num_beside += expected != tuple(corner)
        np.testing.assert_array_equal(
            in_graph(pixels, corner), np.asarray(image.crop(expected)), err_msg=str(corner)
        )
    assert 10 < num_beside < 150


def pixels_spec():
    return tf.TensorSpec((None, None, 3), tf.uint8)


def test_box_beside_the_image_gives_the_whole_image():
    pixels = tf.constant(np.asarray(photograph(7, 5, channels=3)))
    for corners in ([5, 0, 9, 7], [-3, 0, 0, 7], [0, 7, 5, 9], [0, -4, 5, 0]):
        np.testing.assert_array_equal(crop(pixels, tf.constant(corners)), pixels)


def test_a_huge_box_is_refused_before_it_takes_memory():
    pixels = tf.constant(np.asarray(photograph(7, 5, channels=3)))
    for corners in ([0, 0, 10**5, 10**5], [-(10**9), 0, 3 * 10**9, 2]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="a box of more than 100 pixels"):
            crop(pixels, tf.constant(corners, tf.int64), "photo.png", max_pixels=100)
    beside = tf.constant([5, 0, 10**9, 10**9])
    np.testing.assert_array_equal(crop(pixels, beside, "photo.png", max_pixels=100), pixels)
    assert crop(pixels, tf.constant([0, 0, 10, 10]), "photo.png", max_pixels=100).shape[0] == 10
