"""Resizing of images, in float, alike in training, export and scoring."""

import tensorflow as tf
from keras import ops

from vac_tf.geometry.resampling import nearest_places, resize_matrix
from vac_tf.geometry.tensors import Tensor

RESIZE_KERNELS = ("bilinear", "nearest")


def resize_images(images: Tensor, size: int, kernel: str = "bilinear") -> Tensor:
    """Resizes images to `size` x `size` pixels.

    `bilinear` is antialiased and equals Pillow's bilinear filter on float images (how exactly:
    `export.images.preprocessing.resize_tolerance`). `nearest` is the kernel of the 2019 release:
    the pixels that Pillow's NEAREST takes, see `nearest_places`.

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


def resize_batch(images: Tensor, size: int, kernel: str = "bilinear") -> Tensor:
    """`resize_images` for a graph that XLA compiles, where the height and width are known.

    XLA has no kernel for the antialiased resize. With known sizes it is a product with a constant
    matrix per axis (`resize_matrix`), equal to the op to 0.0002 grey levels on a CPU; unknown ones
    go to `resize_images`. `nearest` is a gather of constant indices, which XLA compiles as it is.

    Args, returns and raises as `resize_images`.
    """
    height, width = images.shape[-3:-1]
    if kernel != "bilinear" or None in (height, width) or (height, width) == (size, size):
        return resize_images(images, size, kernel)
    return resize_linearly(images, size, size)


def resize_linearly(values: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bilinear resizing as a product with a constant matrix per axis.

    Args:
        values: `[..., h, w, C]` of any dtype; h, w and C are known.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        float32 `[..., height, width, C]`; unchanged values where that is their size already.
    """
    values = ops.cast(values, "float32")
    rows, columns, channels = values.shape[-3:]
    if (rows, columns) == (height, width):
        return values
    leading = [size if isinstance(size, int) else -1 for size in ops.shape(values)[:-3]]
    if leading.count(-1) > 1:  # A reshape works out one axis by itself: fewer nodes in a graph.
        leading = ops.shape(values)[:-3]
    flat = ops.reshape(values, (*leading, rows, columns * channels))
    by_row = ops.matmul(resize_matrix(rows, height), flat)
    by_row = ops.reshape(by_row, (*leading, height, columns, channels))
    return ops.einsum("...hwc,vw->...hvc", by_row, resize_matrix(columns, width))


def _take_nearest(images: Tensor, size: int) -> Tensor:
    rows = nearest_indices(ops.shape(images)[-3], size)
    columns = nearest_indices(ops.shape(images)[-2], size)
    return ops.take(ops.take(images, rows, axis=-3), columns, axis=-2)


def nearest_indices(num_inputs: Tensor, num_outputs: int) -> Tensor:
    """int32 `[num_outputs]`: what `nearest_places` says, also for a size known only in a graph.

    Args:
        num_inputs: int, or a scalar int32 tensor in a graph.
        num_outputs: int.
    """
    if isinstance(num_inputs, int):
        return nearest_places(num_inputs, num_outputs)
    # Other devices may add in another order; and a plain division by a constant would be made a
    # multiplication by its rounded reciprocal.
    with tf.device("/CPU:0"):
        step = tf.math.divide_no_nan(tf.cast(num_inputs, tf.float64), float(num_outputs))
        steps = tf.concat([[step / 2], tf.fill([num_outputs - 1], step)], axis=0)
        return tf.cast(tf.cumsum(steps), tf.int32)
