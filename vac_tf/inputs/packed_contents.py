"""The bytes of images that lie inside other files, for TensorFlow: it reads whole files only."""

import os

import tensorflow as tf

from vac_tf.datasets.packed_images import read_image


def packed_contents(path):
    """The bytes of an image, whose path may be a packed one (`vac_tf.datasets.packed_images`).

    Args:
        path: Scalar string tensor.

    Returns:
        Scalar string tensor.

    Raises:
        tf.errors.OpError: its file is missing or ends early. Called eagerly, the message is the
            bare reason.
    """
    if tf.executing_eagerly():
        try:
            return tf.constant(_read(path.numpy()))
        except OSError as error:
            raise tf.errors.NotFoundError(None, None, error.strerror or str(error)) from error
    # The file is read outside of Python's lock, so that threads read at the same time.
    contents = tf.numpy_function(_read, [path], tf.string, stateful=False)
    return tf.ensure_shape(contents, ())


def _read(path: bytes) -> bytes:
    return read_image(os.fsdecode(path))
