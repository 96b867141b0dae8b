"""Strides found from shapes."""

import keras
import pytest
from keras import layers

from vac_tf.models.stride import find_stride


def network(*convolutions, size=None):
    """`(kernel, strides, padding)` of each convolution."""
    features = images = keras.Input((size, size, 3))
    for kernel, strides, padding in convolutions:
        features = layers.Conv2D(2, kernel, strides=strides, padding=padding)(features)
    return keras.Model(images, features)


@pytest.mark.parametrize("stride", [1, 4, 12, 14, 16, 28, 32])
def test_patches_of_any_size_in_use(stride):
    assert find_stride(network((stride, stride, "valid"))) == stride


def test_a_border_costs_no_stride():
    assert find_stride(network((7, 2, "valid"), (3, 2, "valid"), (5, 4, "same"))) == 16


def test_a_network_of_one_size():
    assert find_stride(network((14, 14, "valid"), size=224)) == 14


def test_other_strides_along_height_and_width_are_refused():
    with pytest.raises(ValueError, match="of 13440 pixels.*of 6720: expected the same whole"):
        find_stride(network((4, (2, 4), "same")))
