"""Backbones of one convolution: most of a run is then not making graphs."""

import functools

import keras
import pytest

from vac_tf.models.backbones import BACKBONES, TORCH, Backbone


def add_tiny_backbones(patch: pytest.MonkeyPatch) -> None:
    """Adds `tiny` (stride 16) and `tiny8` (stride 8)."""
    for name, stride in (("tiny", 16), ("tiny8", 8)):
        build = functools.partial(_build, stride=stride)
        patch.setitem(BACKBONES, name, Backbone(build, TORCH, stride=stride))


def _build(input_shape, weights, include_top, stride):
    del weights, include_top
    images = keras.Input(input_shape)
    features = keras.layers.Conv2D(8, stride, strides=stride, padding="same", use_bias=False)(
        images
    )
    features = keras.layers.BatchNormalization()(features)
    return keras.Model(images, keras.layers.Activation("relu")(features))
