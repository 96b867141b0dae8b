"""Resizing of images, in float, alike in training, export and scoring."""

import functools

import numpy as np
import tensorflow as tf
from keras import ops

RESIZE_KERNELS = ("bilinear", "nearest")


def resize_images(images, size: int, kernel: str = "bilinear"):
    """Resizes images to `size` x `size` pixels.

    `bilinear` is antialiased and equals Pillow's bilinear filter on float images (how exactly:
    `export.images.preprocessing.resize_tolerance`). `nearest` is the kernel of the 2019 release:
    the pixels that Pillow's NEAREST takes, see `nearest_indices`.

    Args:
        images: `[..., H, W, 3]` of any dtype.
        size: Height and width of the result in pixels.
        kernel: `"bilinear"` or `"nearest"`.

    Returns:
        float32 `[..., size, size, 3]`; unchanged values where the size is right already.

    Raises:
        ValueError: for an unknown kernel.
    """
    if kernel not in RESIZE_KERNELS:
        raise ValueError(
            f"Unknown resize kernel {kernel!r}. Expected one of: {', '.join(RESIZE_KERNELS)}."
        )
    images = ops.cast(images, "float32")
    if tuple(images.shape[-3:-1]) == (size, size):
        return images
    if kernel == "bilinear":
        return ops.image.resize(
            images,
            (size, size),
            interpolation="bilinear",
            antialias=True,
            data_format="channels_last",
        )
    return _take_nearest(images, size)


def resize_batch(images, size: int, kernel: str = "bilinear"):
    """`resize_images` for a graph that XLA compiles, where the height and width are known.

    XLA has no kernel for the antialiased resize. With known sizes it is a product with a constant
    matrix per axis (`resize_matrix`), equal to the op to 0.0002 grey levels on a CPU; unknown ones
    go to `resize_images`. `nearest` is a gather of constant indices, which XLA compiles as it is.

    Args, returns and raises as `resize_images`.
    """
    height, width = images.shape[-3:-1]
    if kernel != "bilinear" or None in (height, width) or (height, width) == (size, size):
        return resize_images(images, size, kernel)
    leading, channels = ops.shape(images)[:-3], images.shape[-1]
    flat = ops.reshape(ops.cast(images, "float32"), (*leading, height, width * channels))
    rows = ops.matmul(resize_matrix(height, size), flat)
    rows = ops.reshape(rows, (*leading, size, width, channels))
    return ops.einsum("...hwc,vw->...hvc", rows, resize_matrix(width, size))


@functools.cache
def resize_matrix(num_inputs: int, num_outputs: int) -> np.ndarray:
    """The antialiased bilinear filter along one axis.

    A triangle around the place of every output, as wide as an output (at least as an input) on
    either side, sampled at the centres of the inputs; its weights sum to 1.

    Args:
        num_inputs: Pixels of the axis.
        num_outputs: Pixels after resizing.

    Returns:
        float32 `[num_outputs, num_inputs]`, not to be changed.
    """
    # TensorFlow places its samples in float32; placed exactly, values differ by 0.006 grey levels.
    one, half = np.float32(1.0), np.float32(0.5)
    scale = one / (np.float32(num_outputs) / np.float32(num_inputs))
    places = (np.arange(num_outputs, dtype="float32") + half) * scale
    centres = np.arange(num_inputs, dtype="float32") + half
    distances = np.abs(places[:, None] - centres) * (one / max(scale, one))
    weights = np.maximum(one - distances, np.float32(0.0))
    weights /= weights.sum(axis=1, keepdims=True)
    weights.flags.writeable = False
    return weights


def _take_nearest(images, size):
    rows = nearest_indices(ops.shape(images)[-3], size)
    columns = nearest_indices(ops.shape(images)[-2], size)
    return ops.take(ops.take(images, rows, axis=-3), columns, axis=-2)


def nearest_indices(num_inputs, num_outputs: int):
    """int32 `[num_outputs]`: the input index that Pillow's NEAREST takes for every output.

    Pillow adds the step `n_in / n_out` up in float64, from half a step on, and cuts the fraction
    off. Where a position falls on a border between two pixels, which is a third of the columns from
    640 to 192, the rounding of that sum decides; so it is the same sum here, term by term.

    Args:
        num_inputs: int, or a scalar int32 tensor in a graph.
        num_outputs: int.
    """
    if isinstance(num_inputs, int):
        step = num_inputs / num_outputs
        return np.add.accumulate([step / 2, *[step] * (num_outputs - 1)]).astype("int32")
    # Other devices may add in another order; and a plain division by a constant would be made a
    # multiplication by its rounded reciprocal.
    with tf.device("/CPU:0"):
        step = tf.math.divide_no_nan(tf.cast(num_inputs, tf.float64), float(num_outputs))
        steps = tf.concat([[step / 2], tf.fill([num_outputs - 1], step)], axis=0)
        return tf.cast(tf.cumsum(steps), tf.int32)
