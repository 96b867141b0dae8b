"""Classifiers: every backbone's heatmaps and logits fit together; settings reach the layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vac_tf.models import build_classifier
from vac_tf.models.backbones import BACKBONES, get_backbone
from vac_tf.models.classifier import with_features
from vac_tf.models.computation.fused_batch_norm import BatchNormalization

FAST = ("small", "mobilenetv2")
EVERY_BACKBONE = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in BACKBONES
]


def images_of(size, count=2, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (count, size, size, 3)).astype("float32")


def layers_of(network, layer_class):
    return [layer for layer in network._flatten_layers() if isinstance(layer, layer_class)]


@pytest.mark.parametrize("name", EVERY_BACKBONE)
def test_mean_of_heatmaps_plus_bias_is_the_logit(name):
    network = build_classifier(name, 5)
    network.get_layer("cam_head").bias.assign([1.0, -2.0, 3.0, 0.5, 0.0])
    grids = []
    # InceptionV3 and Xception take no less than 75 pixels.
    for size in (96, 128):
        outputs = network(images_of(size))
        assert set(outputs) == {"heatmaps", "logits"}
        heatmaps, logits = outputs["heatmaps"].numpy(), outputs["logits"].numpy()
        expected = heatmaps.astype(np.float64).mean(axis=(1, 2)) + [1.0, -2.0, 3.0, 0.5, 0.0]
        scale = np.abs(heatmaps).max()
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * scale)
        assert heatmaps.dtype == logits.dtype == np.float32
        assert np.isfinite(heatmaps).all() and np.ptp(heatmaps) > 0
        grids.append(heatmaps.shape[1])
    if name not in ("inceptionv3", "xception"):
        assert grids == [size // get_backbone(name).stride for size in (96, 128)]
    momenta = {layer.momentum for layer in layers_of(network, keras.layers.BatchNormalization)}
    rates = {layer.rate for layer in layers_of(network, keras.layers.Dropout)}
    assert momenta <= {0.9} and rates <= {0.0}
    types = {type(layer) for layer in layers_of(network, keras.layers.BatchNormalization)}
    assert types <= {BatchNormalization}


@pytest.mark.parametrize("name", EVERY_BACKBONE)
def test_normalisation_equals_that_of_keras_applications(name):
    """The colours a backbone was trained with, from the library that trained it."""
    module = {
        "resnet": keras.applications.resnet50,
        "densenet": keras.applications.densenet,
        "inceptionv3": keras.applications.inception_v3,
        "xception": keras.applications.xception,
        "mobilenetv2": keras.applications.mobilenet_v2,
    }
    # Version 1.5 is torchvision's, with torchvision's colours.
    is_keras = not name.endswith("_v1_5")
    key = next((key for key in module if is_keras and name.startswith(key)), None)
    if name.endswith("v2") and name.startswith("resnet"):
        preprocess = keras.applications.resnet_v2.preprocess_input
    elif key:
        preprocess = module[key].preprocess_input
    elif name.startswith("mobilenetv3"):

        def preprocess(images):
            return images / 127.5 - 1.0

    elif name in ("efficientnetv2s", "efficientnetv2m", "efficientnetv2l"):

        def preprocess(images):
            return (images - 128.0) / 128.0

    elif name.startswith("efficientnet_lite"):

        def preprocess(images):
            return (images - 127.0) / 128.0

    else:

        def preprocess(images):
            mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
            return (images / 255.0 - mean) / std

    images = images_of(8)
    normalized = get_backbone(name).normalization(tf.constant(images))
    np.testing.assert_allclose(normalized, preprocess(images.copy()), rtol=1e-4, atol=1e-4)


def test_small_network_is_small_and_has_stride_16():
    network = build_classifier("small", 10)
    assert 0.9e6 < network.count_params() < 1.1e6
    assert network(images_of(96))["heatmaps"].shape == (2, 6, 6, 10)
    assert network(images_of(100))["heatmaps"].shape == (2, 7, 7, 10)
    assert network.name == "small_classifier" and network.inputs[0].name == "images"


def test_fixed_image_size_gives_fixed_shapes():
    network = build_classifier("small", 3, image_size=64, pooling="max")
    assert network.input_shape == (None, 64, 64, 3)
    shapes = {name: tensor.shape for name, tensor in network.output.items()}
    assert shapes == {"heatmaps": (None, 4, 4, 3), "logits": (None, 3)}
    assert network.get_layer("cam_head").pooling == "max"


def test_equal_seeds_give_equal_networks_with_and_without_the_fused_op():
    outputs = []
    for fused in (True, False):
        keras.utils.set_random_seed(3)
        network = build_classifier("small", 3, fused_batch_norm=fused)
        outputs.append(network(images_of(32), training=True)["heatmaps"].numpy())
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_outputs_float32_and_stays_close(precision):
    keras.utils.set_random_seed(0)
    exact = build_classifier("small", 3)
    mixed = build_classifier("small", 3, precision=precision)
    mixed.set_weights(exact.get_weights())
    outputs, expected = mixed(images_of(32)), exact(images_of(32))
    for name, value in outputs.items():
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value, expected[name], atol=0.05 * np.abs(expected[name]).max())
    convolutions = layers_of(mixed, keras.layers.Conv2D)
    assert {layer.compute_dtype for layer in convolutions} == {precision.removeprefix("mixed_")}
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    assert mixed.get_layer("normalization").compute_dtype == "float32"


def test_features_are_those_under_the_heatmaps():
    network = build_classifier("small", 3)
    outputs = with_features(network)(images_of(32))
    assert set(outputs) == {"features", "heatmaps", "logits"}
    kernel = network.get_layer("cam_head").kernel
    expected = np.einsum("bhwc,cl->bhwl", outputs["features"], kernel)
    np.testing.assert_allclose(outputs["heatmaps"], expected, rtol=1e-4, atol=1e-4)


def test_images_of_either_type_give_the_same():
    images = np.round(images_of(32))
    network = build_classifier("small", 3)
    expected = network(images)["logits"]
    np.testing.assert_array_equal(network(images.astype("uint8"))["logits"], expected)
