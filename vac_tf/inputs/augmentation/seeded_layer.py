"""Keras's random layers, drawing from a seed that is given with every image.

By themselves they draw from a state that every call moves: in a pipeline of several threads an
image would get another draw from run to run, and a continued run other ones than an unbroken one.
"""

import keras
import tensorflow as tf


class SeededLayer:
    """A random layer of Keras as a function of (inputs, seed).

    Args:
        layer: draws from its attribute `generator` alone; one without it draws nothing.
    """

    def __init__(self, layer: keras.layers.Layer):
        self._seeds = _GivenSeeds()
        layer.generator = self._seeds
        self._layer = layer

    def __call__(self, inputs, seed):
        """What the layer makes of its inputs in training; `seed` int64 `[2]`."""
        self._seeds.start(seed)
        return self._layer(inputs, training=True)


class _GivenSeeds(keras.random.SeedGenerator):
    """Numbers the draws from one seed."""

    def __init__(self):
        # No state: that of Keras's generator is a variable, which nothing here may move.
        self._seed, self._drawn = None, 0

    def start(self, seed) -> None:
        self._seed, self._drawn = seed, 0

    def next(self, ordered=True):
        del ordered
        self._drawn += 1
        return derived_seed(self._seed, self._drawn)


def derived_seed(seed, number):
    """Another seed, int64 `[2]`, for the draw of this number."""
    return tf.random.experimental.stateless_fold_in(seed, number)


def uniform(seed, low: float = 0.0, high: float = 1.0):
    """A float32 scalar in [low, high)."""
    return tf.random.stateless_uniform([], seed, low, high)
