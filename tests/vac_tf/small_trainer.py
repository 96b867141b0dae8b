"""A small trainer for tests: one convolution with batch normalisation, stride 8."""

import keras
import numpy as np
import tensorflow as tf

from vac_tf.geometry.transforms import parse_transforms
from vac_tf.models.cam_head import CAMHead
from vac_tf.training.consistency.settings import Consistency
from vac_tf.training.consistency_trainer import ConsistencyTrainer

STRIDE = 8
LOSS = "weighted_sigmoid_cross_entropy"
RATIO = np.array([0.1, 0.5, 0.8], "float32")
ALL_TRANSFORMS = "hflip,rotate:1,translate:8:0,scale:16"


def build_network(dtype="float32", is_normalized=True):
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3), name="images")
    features = keras.layers.Rescaling(1 / 255, dtype="float32")(images)
    # Fields that overlap and padding: not equivariant under any of the transforms.
    convolution = keras.layers.Conv2D(6, 2 * STRIDE, STRIDE, padding="same", dtype=dtype)
    features = convolution(features)
    if is_normalized:
        features = keras.layers.BatchNormalization(momentum=0.5, dtype=dtype)(features)
    features = keras.layers.Activation("relu", dtype=dtype)(features)
    return keras.Model(images, CAMHead(3, name="cam_head")(features))


def build_trainer(transforms="", network=None, loss=LOSS, coupled_weight_decay=0.0, **consistency):
    return ConsistencyTrainer(
        network or build_network(),
        RATIO,
        parse_transforms(transforms, "nearest"),
        Consistency(**consistency),
        loss,
        coupled_weight_decay=coupled_weight_decay,
    )


def build_batch():
    """Images `[4, 24, 24, 3]` and labels `[4, 3]`."""
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (4, 24, 24, 3)).astype("float32")
    labels = (generator.random((4, 3)) < 0.5).astype("float32")
    return tf.constant(images), tf.constant(labels)


def numbers(terms):
    """The terms as Python floats."""
    return {name: float(value) for name, value in terms.items()}
