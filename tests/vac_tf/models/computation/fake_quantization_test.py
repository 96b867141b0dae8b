"""Quantisation-aware convolutions: the rounding of an INT8 file, the gradients of none."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx.reference import ReferenceEvaluator

from vac_tf.models import build_classifier
from vac_tf.models.computation.fake_quantization import (
    QUANTIZATION_AWARE,
    quantized_activations,
    quantized_kernel,
)
from vac_tf.models.computation.rebuilding import rebuild_network
from vac_tf.models.saving import load_network, save_network

seeds = pytest.mark.parametrize("seed", range(20))


def values_of(seed, *shape):
    generator = np.random.default_rng(seed)
    spread = 10.0 ** generator.uniform(-3, 3, shape[-1])
    return (generator.standard_normal(shape) * spread).astype("float32")


def layers_of(network, classes):
    return [layer for layer in network._flatten_layers() if type(layer) in classes]


@seeds
def test_activations_are_those_of_onnx_with_the_range_of_the_tensor(seed):
    values = values_of(seed, 2, 5, 5, 3)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    scale = np.float32((high - low) / 255)
    zero_point = np.uint8(np.clip(round(-low / scale), 0, 255))
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        onnx.helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    inputs = [
        onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, values.shape),
        onnx.helper.make_tensor_value_info("scale", onnx.TensorProto.FLOAT, ()),
        onnx.helper.make_tensor_value_info("zero", onnx.TensorProto.UINT8, ()),
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, values.shape)
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "pair", inputs, [output]))
    feeds = {"x": values, "scale": np.array(scale), "zero": np.array(zero_point)}
    expected = ReferenceEvaluator(model).run(None, feeds)[0]
    actual = quantized_activations(tf.constant(values)).numpy()
    # A value in the middle of two steps may go to either, and the last ulp of the scale moves it.
    assert np.abs(actual - expected).max() <= scale * 1.01
    assert np.mean(np.abs(actual - expected) > scale * 0.01) < 0.02
    assert len(np.unique(actual)) <= 256


@seeds
def test_kernels_have_255_steps_of_their_channels_range(seed):
    kernel = values_of(seed, 3, 3, 4, 6)
    step = np.abs(kernel).max((0, 1, 2)) / 127
    actual = quantized_kernel(tf.constant(kernel)).numpy()
    assert (np.abs(actual - kernel) <= step * 0.5001).all()
    np.testing.assert_allclose(actual / step, np.round(actual / step), atol=1e-3)
    # The largest weight of a channel, and 0, stay.
    np.testing.assert_allclose(np.abs(actual).max((0, 1, 2)), step * 127, rtol=1e-5)


@seeds
def test_a_batch_normalisation_folded_into_the_kernel_changes_nothing(seed):
    kernel = values_of(seed, 3, 3, 4, 6)
    factors = 2.0 ** np.random.default_rng(seed).integers(-8, 8, 6).astype("float32")
    folded = quantized_kernel(tf.constant(kernel * factors))
    np.testing.assert_array_equal(folded, quantized_kernel(tf.constant(kernel)) * factors)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("function", [quantized_activations, quantized_kernel])
def test_gradients_pass_unchanged(function, dtype):
    values = tf.Variable(tf.cast(values_of(0, 3, 3, 4, 6), dtype))
    upstream = tf.cast(values_of(1, 3, 3, 4, 6), dtype)
    with tf.GradientTape() as tape:
        rounded = function(values)
        loss = tf.reduce_sum(rounded * upstream)
    assert rounded.dtype == values.dtype
    np.testing.assert_array_equal(tape.gradient(loss, values), upstream)


@pytest.mark.parametrize("value", [0.0, 1e-30, -3.0, 7.0, 1e30])
@pytest.mark.parametrize("function", [quantized_activations, quantized_kernel])
def test_values_that_are_all_alike_stay(function, value):
    values = np.full((2, 2, 3, 4), value, "float32")
    np.testing.assert_allclose(function(tf.constant(values)), values, rtol=1e-5, atol=1e-12)


def test_what_is_added_is_rounded_in_training_only():
    first, second = (tf.constant(values_of(seed, 2, 5, 5, 3)) for seed in (0, 1))
    aware = QUANTIZATION_AWARE[keras.layers.Add]()
    np.testing.assert_array_equal(aware([first, second]), first + second)
    expected = quantized_activations(first) + quantized_activations(second)
    np.testing.assert_array_equal(aware([first, second], training=True), expected)


@pytest.mark.parametrize("stock", [keras.layers.Conv2D, keras.layers.DepthwiseConv2D])
@pytest.mark.parametrize("options", [{}, {"strides": 2, "padding": "same", "activation": "relu"}])
def test_a_layer_rounds_in_training_only(stock, options):
    sizes = {"filters": 5} if stock is keras.layers.Conv2D else {"depth_multiplier": 2}
    layers = [of(kernel_size=3, **sizes, **options) for of in (stock, QUANTIZATION_AWARE[stock])]
    inputs = tf.constant(values_of(2, 2, 8, 8, 4))
    for layer in layers:
        layer.build(inputs.shape)
    weights = [values_of(index, *w.shape) for index, w in enumerate(layers[0].weights)]
    for layer in layers:
        layer.set_weights(weights)
    plain, aware = layers
    np.testing.assert_array_equal(aware(inputs), plain(inputs))
    trained = aware(inputs, training=True)
    assert np.abs(trained - plain(inputs)).max() > 0
    # The same as the stock layer whose inputs and weights were rounded beforehand.
    kernel = weights[0]
    flat = kernel if sizes == {"filters": 5} else kernel.reshape(3, 3, -1)
    plain.kernel.assign(quantized_kernel(tf.constant(flat)).numpy().reshape(kernel.shape))
    expected = plain(quantized_activations(inputs))
    np.testing.assert_allclose(trained, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_file_of_a_network_holds_stock_layers(tmp_path):
    network = build_classifier("small", 3, 32, quantization_aware=True)
    aware = layers_of(network, QUANTIZATION_AWARE.values())
    assert aware and not layers_of(network, QUANTIZATION_AWARE)
    save_network(network, str(tmp_path / "network.keras"))
    read = load_network(str(tmp_path / "network.keras"))
    assert len(layers_of(read, QUANTIZATION_AWARE)) == len(aware)
    assert not layers_of(read, QUANTIZATION_AWARE.values())
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected, actual = network(images), read(images)
    np.testing.assert_allclose(actual["logits"], expected["logits"], rtol=1e-4, atol=1e-5)
    again = rebuild_network(read, fused=True, quantization_aware=True)
    assert len(layers_of(again, QUANTIZATION_AWARE.values())) == len(aware)
