"""Augmentation layers of a caller, as functions of images and a seed."""

from collections.abc import Callable

import keras
import tensorflow as tf

from vac_tf.inputs.augmentation.seeded_layer import SeededLayer, derived_seed


def as_seeded_layer(layer: Callable) -> Callable:
    """A function of images `[B, H, W, 3]` and a seed int64 `[2]`, as a graph that is made once.

    Args:
        layer: a Keras layer, also `Sequential` and `Pipeline` of some, or a function of images. A
            random layer of Keras draws from the seed; what else draws does so as it always does.

    Raises:
        ValueError: it cannot be called.
    """
    parts = [_seeded(part) for part in _parts(layer)]

    def change(images, seed):
        for number, part in enumerate(parts):
            images = part(images, derived_seed(seed, number))
        return images

    return tf.function(change, autograph=False, reduce_retracing=True)


def of_single_images(seeded_layer: Callable) -> Callable:
    """The same for an image `[H, W, 3]`."""
    return lambda image, seed: tf.ensure_shape(seeded_layer(image[None], seed)[0], image.shape)


def _parts(layer):
    if isinstance(layer, (keras.Sequential, keras.layers.Pipeline)):
        return [part for each in layer.layers for part in _parts(each)]
    return [layer]


def _seeded(layer):
    if not callable(layer):
        raise ValueError(f"augmentation takes Keras layers and functions of images, got {layer!r}.")
    if not isinstance(layer, keras.layers.Layer):
        return lambda images, seed: layer(images)
    if hasattr(layer, "generator"):
        # A copy: the caller's own draws as before.
        layer = type(layer).from_config(layer.get_config())
    return SeededLayer(layer)
