"""Fused batch normalisation: layer by layer equal to the stock layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vac_tf.models.computation.fused_batch_norm import BatchNormalization
from vac_tf.models.computation.rebuilding import rebuild_network

TOLERANCE = {"float32": 2e-6, "mixed_bfloat16": 8e-3, "mixed_float16": 1e-3}


def pair_of_layers(channels=5, **options):
    """A stock and a fused layer with equal random weights."""
    generator = np.random.default_rng(0)
    layers = keras.layers.BatchNormalization(**options), BatchNormalization(**options)
    for layer in layers:
        layer.build((None, None, None, channels))
    weights = [generator.uniform(0.5, 2.0, weight.shape) for weight in layers[0].weights]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def step(layer, inputs, upstream, training=True):
    """Outputs, and gradients of inputs and trainable weights, of one pass."""
    inputs = tf.Variable(inputs)
    with tf.GradientTape() as tape:
        outputs = layer(inputs, training=training)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream)
    gradients = tape.gradient(loss, [inputs, *(v.value for v in layer.trainable_variables)])
    return [tf.cast(value, tf.float32).numpy() for value in (outputs, *gradients)], outputs.dtype


def assert_close(actual, expected, tolerance):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance * max(1.0, np.abs(e).max()))


@pytest.mark.parametrize("policy", TOLERANCE)
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"momentum": 0.5}])
def test_training_pass_equals_the_stock_layer(policy, options):
    stock, fused = pair_of_layers(dtype=policy, **options)
    generator = np.random.default_rng(1)
    inputs = generator.normal(3.0, 2.0, (4, 3, 5, 5)).astype("float32")
    inputs = tf.cast(inputs, stock.compute_dtype)
    upstream = generator.standard_normal((4, 3, 5, 5)).astype("float32")
    for _ in range(3):
        expected, expected_dtype = step(stock, inputs, upstream)
        actual, dtype = step(fused, inputs, upstream)
        assert dtype == expected_dtype == stock.compute_dtype
        assert_close(actual, expected, TOLERANCE[policy])
    # The moving statistics are float32 in every policy.
    assert_close(fused.get_weights(), stock.get_weights(), 2e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1, 5), (2, 1, 1, 5), (1, 3, 1, 5)])
def test_statistics_of_few_values_are_biased_as_in_the_stock_layer(shape):
    stock, fused = pair_of_layers(momentum=0.25)
    before = fused.get_weights()[3]
    inputs = np.random.default_rng(1).normal(3.0, 2.0, shape).astype("float32")
    outputs = [layer(inputs, training=True) for layer in (stock, fused)]
    # Outputs divide by a standard deviation near 0.
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-4)
    assert_close(fused.get_weights(), stock.get_weights(), 2e-6)
    expected = 0.25 * before + 0.75 * inputs.var(axis=(0, 1, 2))
    np.testing.assert_allclose(fused.get_weights()[3], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frozen", [False, True])
def test_inference_and_frozen_layers_use_the_moving_statistics(frozen):
    stock, fused = pair_of_layers()
    stock.trainable = fused.trainable = not frozen
    inputs = np.random.default_rng(1).normal(3.0, 2.0, (4, 3, 5, 5)).astype("float32")
    before = fused.get_weights()
    outputs = [layer(inputs, training=frozen).numpy() for layer in (stock, fused)]
    np.testing.assert_array_equal(*outputs)
    assert np.abs(outputs[0] - outputs[0].mean()).max() > 0
    for weight, old in zip(fused.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.parametrize(
    "shape, options",
    [((8, 5), {}), ((4, 5, 3, 3), {"axis": 1}), ((4, 3, 3, 5), {"renorm": True})]
    + [((4, 3, 3, 5), {"momentum": 0.0})],
)
def test_what_the_fused_op_cannot_do_is_left_to_the_stock_layer(shape, options):
    stock = keras.layers.BatchNormalization(**options)
    fused = BatchNormalization(**options)
    inputs = np.random.default_rng(1).normal(3.0, 2.0, shape).astype("float32")
    for _ in range(2):
        outputs = [layer(inputs, training=True).numpy() for layer in (stock, fused)]
        np.testing.assert_array_equal(*outputs)
    for weight, expected in zip(fused.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_masked_inputs_are_left_to_the_stock_layer():
    stock, fused = pair_of_layers()
    inputs = np.random.default_rng(1).normal(3.0, 2.0, (4, 3, 5, 5)).astype("float32")
    mask = np.random.default_rng(2).random((4, 3, 5)) < 0.5
    outputs = [layer(inputs, training=True, mask=mask).numpy() for layer in (stock, fused)]
    np.testing.assert_array_equal(*outputs)


@pytest.fixture
def network():
    inputs = keras.Input((None, None, 3))
    hidden = keras.layers.Conv2D(8, 3, use_bias=False)(inputs)
    hidden = keras.layers.BatchNormalization(momentum=0.99)(hidden)
    hidden = keras.layers.Dropout(0.3)(keras.layers.Activation("relu")(hidden))
    inner = keras.Sequential([keras.Input((None, None, 8)), keras.layers.BatchNormalization()])
    network = keras.Model(inputs, keras.layers.Rescaling(2.0, dtype="float32")(inner(hidden)))
    generator = np.random.default_rng(0)
    network.set_weights([generator.uniform(0.5, 1.5, w.shape) for w in network.get_weights()])
    return network


def normalisations(network):
    return [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


def test_rebuilt_network_keeps_weights_and_outputs(network):
    images = np.random.default_rng(1).random((2, 9, 9, 3)).astype("float32")
    before = network.get_weights()
    fused = rebuild_network(network, fused=True, batch_norm_momentum=0.8, dropout=0.0)
    assert [type(layer) for layer in normalisations(fused)] == [BatchNormalization] * 2
    assert {layer.momentum for layer in normalisations(fused)} == {0.8}
    np.testing.assert_array_equal(fused(images), network(images))
    fused(images, training=True)
    for weight, old in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    back = rebuild_network(fused, fused=False)
    assert {type(layer) for layer in normalisations(back)} == {keras.layers.BatchNormalization}
    np.testing.assert_array_equal(back(images), fused(images))
    assert [w.path for w in back.weights] == [w.path for w in network.weights]


def test_only_depthwise_kernels_change_their_shape():
    images = keras.Input((9, 9, 4))
    grouped = keras.Model(images, keras.layers.Conv2D(8, 3, groups=4, name="c")(images))
    assert rebuild_network(grouped, fused=False).get_layer("c").kernel.shape == (3, 3, 1, 8)
    rebuilt = rebuild_network(grouped, fused=False, depthwise=True)
    assert rebuilt.get_layer("c").kernel.shape == (3, 3, 4, 2)
    values = np.random.default_rng(1).random((2, 9, 9, 4)).astype("float32")
    np.testing.assert_allclose(rebuilt(values), grouped(values), atol=1e-5)


def test_rebuilt_network_changes_dropout_and_policy(network):
    mixed = rebuild_network(network, fused=True, dtype="mixed_bfloat16", dropout=0.0)
    (dropout,) = (
        layer for layer in mixed._flatten_layers() if isinstance(layer, keras.layers.Dropout)
    )
    assert dropout.rate == 0.0
    policies = {type(layer).__name__: layer.dtype_policy.name for layer in mixed._flatten_layers()}
    assert policies["Conv2D"] == policies["BatchNormalization"] == "mixed_bfloat16"
    assert policies["Rescaling"] == "float32"
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    kept = rebuild_network(network, fused=True)
    assert [layer.momentum for layer in normalisations(kept)] == [0.99, 0.99]


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weight_files_fit_the_stock_class(network, tmp_path, suffix):
    images = np.random.default_rng(1).random((2, 9, 9, 3)).astype("float32")
    fused = rebuild_network(network, fused=True)
    fused(images, training=True)
    path = str(tmp_path / f"network{suffix}")
    (fused.save_weights if suffix == ".weights.h5" else fused.save)(path)
    network.load_weights(path)
    np.testing.assert_allclose(network(images), fused(images), rtol=1e-6)
