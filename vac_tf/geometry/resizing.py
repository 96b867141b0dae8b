"""Resizing of images, in float, alike in training, export and scoring."""

import numpy as np
from keras import ops

RESIZE_KERNELS = ("bilinear", "nearest")


def resize_images(images, size: int, kernel: str = "bilinear"):
    """Resizes images to `size` x `size` pixels.

    `bilinear` is antialiased and equals Pillow's bilinear filter on float images. `nearest` is
    the kernel of the 2019 release: index `floor((2i + 1) n_in / (2 n_out))`, computed in integers
    because TensorFlow's and Pillow's own differ at cell borders.

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
    rows = nearest_indices(ops.shape(images)[-3], size)
    columns = nearest_indices(ops.shape(images)[-2], size)
    return ops.take(ops.take(images, rows, axis=-3), columns, axis=-2)


def nearest_indices(num_inputs, num_outputs: int):
    """int32 `[num_outputs]`: input index of every output, `floor((2i + 1) n_in / (2 n_out))`."""
    odd = 2 * np.arange(num_outputs, dtype="int32") + 1
    return odd * num_inputs // (2 * num_outputs)
