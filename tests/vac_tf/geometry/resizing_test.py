"""Nearest resizing takes the very pixels that Pillow takes, eagerly and in graphs."""

import numpy as np
import tensorflow as tf
from PIL import Image

from vac_tf.geometry.resizing import resize_images

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
