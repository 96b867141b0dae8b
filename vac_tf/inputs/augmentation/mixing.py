"""Augmentation that mixes the images of a batch, and their labels alike.

Each function takes its number and returns a function of images float32 `[B, H, W, 3]`, labels
float32 `[B, L]` and a seed int64 `[2]`, which gives such a batch of soft labels. A label that is
unknown (NaN) in either of two images is unknown in their mixture.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from vac_tf.inputs.augmentation.seeded_layer import SeededLayer

BatchLayer = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def mix_up(alpha: float) -> BatchLayer:
    """Weighted means of two images (Zhang et al., "mixup", ICLR 2018), weights Beta(alpha, alpha).

    `keras.layers.MixUp`.
    """
    return _mixing(keras.layers.MixUp(alpha))


def cut_mix(alpha: float) -> BatchLayer:
    """A rectangle of another image (Yun et al., "CutMix", ICCV 2019), its area Beta(alpha, alpha).

    `keras.layers.CutMix`.
    """
    return _mixing(keras.layers.CutMix((alpha, alpha)))


def _mixing(layer: keras.layers.Layer) -> BatchLayer:
    seeded = SeededLayer(layer)

    def mix(images, labels, seed):
        mixed = seeded({"images": images, "labels": labels}, seed)
        # Rounding puts the mixture of two positives beside 1.
        soft_labels = tf.clip_by_value(mixed["labels"], 0.0, 1.0)
        return tf.ensure_shape(mixed["images"], images.shape), soft_labels

    return mix
