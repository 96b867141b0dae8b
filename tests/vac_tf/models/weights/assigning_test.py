"""Tensors of PyTorch in Keras layers: the same function, and every misfit named at once."""

import keras
import numpy as np
import pytest

from vac_tf.models.weights.assigning import assign_tensors


def network():
    """Images `[B, 9, 9, 4]` through every kind of layer, one of them in a model inside."""
    layers = keras.layers
    images = keras.Input((9, 9, 4))
    inner = keras.Sequential([keras.Input((9, 9, 6)), layers.BatchNormalization(name="norm")])
    features = layers.Conv2D(6, (2, 3), groups=2, name="grouped")(images)
    features = layers.DepthwiseConv2D(3, use_bias=False, name="depthwise")(
        inner(layers.ZeroPadding2D(((0, 1), (0, 2)))(features))
    )
    features = layers.GlobalAveragePooling2D()(features)
    return keras.Model(images, layers.Dense(5, name="linear")(features), name="net")


def tensors():
    random = np.random.default_rng(0).normal
    shapes = {"grouped.weight": (6, 2, 2, 3), "grouped.bias": 6, "depthwise.weight": (6, 1, 3, 3)}
    shapes |= {"norm.weight": 6, "norm.bias": 6, "norm.running_mean": 6, "norm.running_var": 6}
    shapes |= {"linear.weight": (5, 6), "linear.bias": 5}
    named = {name: random(size=shape).astype(np.float32) for name, shape in shapes.items()}
    named["norm.running_var"] = np.abs(named["norm.running_var"])
    return named | {"norm.num_batches_tracked": np.int64(7)}


def convolved(images, weight, groups):
    """A convolution as PyTorch has it: images `[B, C, H, W]`, weight `[O, C / groups, h, w]`."""
    windows = np.lib.stride_tricks.sliding_window_view(images, weight.shape[2:], (2, 3))
    parts = zip(np.split(windows, groups, 1), np.split(weight, groups), strict=True)
    return np.concatenate([np.einsum("bcyxhw,ochw->boyx", *each) for each in parts], 1)


def test_the_network_computes_what_the_tensors_say():
    named, net = tensors(), network()
    assign_tensors(net, named)
    images = np.random.default_rng(1).normal(size=(2, 9, 9, 4)).astype(np.float32)
    x = convolved(images.transpose(0, 3, 1, 2), named["grouped.weight"], 2)
    x = np.pad(x + named["grouped.bias"][:, None, None], ((0, 0), (0, 0), (0, 1), (0, 2)))
    mean, variance, scale, offset = (
        named[f"norm.{name}"][:, None, None]
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    x = (x - mean) / np.sqrt(variance + 1e-3) * scale + offset
    x = convolved(x, named["depthwise.weight"], 6).mean((2, 3))
    expected = x @ named["linear.weight"].T + named["linear.bias"]
    np.testing.assert_allclose(net(images), expected, rtol=1e-4, atol=1e-5)


def test_every_misfit_is_named_and_nothing_is_changed():
    named, net = tensors(), network()
    before = [weight.copy() for weight in net.get_weights()]
    del named["norm.running_var"], named["linear.bias"]
    named["depthwise.weight"] = named["depthwise.weight"][:, :, :2]
    named |= {"fc.weight": np.zeros((2, 2)), "fc.bias": np.zeros(2)}
    with pytest.raises(ValueError) as error:
        assign_tensors(net, named)
    message = str(error.value)
    assert "missing: norm.running_var, linear.bias" in message
    assert "not expected: fc.weight, fc.bias" in message
    assert "depthwise.weight (6, 1, 2, 3) instead of (6, 1, 3, 3)" in message
    for weight, expected in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_modules_may_have_other_names_than_layers():
    named = {f"body.{name}": array for name, array in tensors().items()}
    net = network()
    assign_tensors(net, named, lambda layer: f"body.{layer}")
    np.testing.assert_array_equal(net.get_layer("linear").bias, named["body.linear.bias"])


def test_layers_of_other_kinds_are_named():
    inputs = keras.Input((4, 4))
    net = keras.Model(inputs, keras.layers.LSTM(3, name="recurrent")(inputs))
    with pytest.raises(ValueError, match="Layer 'recurrent' is a LSTM.*expected one of Depthwise"):
        assign_tensors(net, {})
