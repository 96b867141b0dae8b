"""Resizing: the very pixels of Pillow's NEAREST; constant matrices equal to the antialiased op."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from vac_tf.geometry.resampling import resize_matrix
from vac_tf.geometry.resizing import resize_batch, resize_images

SIZES_OUT = (1, 7, 24, 96, 192, 224, 256, 288, 448)


def sizes_in(size_out):
    random = np.random.default_rng(size_out).integers(1, 5000, 20)
    return [1, 2, 3, 320, 427, 480, 500, 640, 800, 1024, size_out + 1, *random.tolist()]


def numbered_columns(size):
    """float32 `[1, size, 3]`, each pixel its own column."""
    return np.repeat(np.arange(size, dtype="float32")[None, :, None], 3, axis=2)


def pillow_columns(size_in, size_out):
    """The columns that Pillow's NEAREST takes."""
    row = Image.fromarray(numbered_columns(size_in)[..., 0])
    return np.asarray(row.resize((size_out, 1), Image.Resampling.NEAREST))[0]


def test_nearest_takes_the_pixels_that_pillow_takes():
    for size_out in SIZES_OUT:
        in_graph = tf.function(
            lambda image, size=size_out: resize_images(image, size, "nearest"),
            input_signature=[tf.TensorSpec((1, None, 3))],
        )
        for size_in in sizes_in(size_out):
            expected = pillow_columns(size_in, size_out)
            image = numbered_columns(size_in)
            eager = np.asarray(resize_images(image, size_out, "nearest"))
            assert eager.shape == (size_out, size_out, 3)
            np.testing.assert_array_equal(eager[0, :, 0], expected, f"{size_in} to {size_out}")
            np.testing.assert_array_equal(in_graph(image), eager, f"{size_in} to {size_out}")


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(224, 224, 192), (224, 224, 256), (37, 53, 96), (120, 333, 31), (500, 375, 224), (9, 7, 1)],
)
def test_a_batch_is_resized_as_by_the_antialiased_op(height, width, size, dtype):
    noise = np.random.default_rng(0).integers(0, 256, (2, height, width, 3))
    images = tf.constant(noise, dtype)
    resized = resize_batch(images, size)
    assert resized.dtype == tf.float32 and resized.shape == (2, size, size, 3)
    expected = tf.image.resize(images, (size, size), antialias=True)
    np.testing.assert_allclose(resized, expected, rtol=0, atol=3e-4)


@pytest.mark.parametrize("kernel", ["bilinear", "nearest"])
def test_xla_resizes_a_batch_of_any_length(kernel):
    resize = tf.function(
        lambda images: resize_batch(images, 16, kernel),
        input_signature=[tf.TensorSpec((None, 24, 20, 3))],
        jit_compile=True,
    )
    for length in (1, 3):
        images = np.random.default_rng(0).uniform(0, 255, (length, 24, 20, 3)).astype("float32")
        expected = resize_images(images, 16, kernel)
        np.testing.assert_allclose(resize(images), expected, rtol=0, atol=3e-4)


def test_sizes_that_a_graph_does_not_know_are_resized_too():
    resize = tf.function(
        lambda image: resize_batch(image, 16), input_signature=[tf.TensorSpec((None, None, 3))]
    )
    image = numbered_columns(24)
    np.testing.assert_array_equal(resize(image), resize_images(image, 16))


@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(224, 192), (7, 100), (1000, 1)])
def test_every_output_is_a_mean_of_its_inputs(num_inputs, num_outputs):
    weights = resize_matrix(num_inputs, num_outputs)
    assert weights.shape == (num_outputs, num_inputs) and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-6)
    # The same from either end, to the rounding of places far from 0.
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=2e-5 * num_inputs / 24)
