"""Networks of every family become ONNX files in every precision that ONNX Runtime computes."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from export.building.conversion.half_precision import to_half_precision
from export.building.conversion.onnx_graph import count_transposes
from export.building.conversion.onnx_writer import write_model, write_onnx
from export.building.conversion.quantization import quantize
from export.building.serving_network import InferenceNetwork
from export.bundle.preprocessing import Preprocessing
from export.scoring.runtime.session import NetworkSession
from tests.export.building.tiny_run import LABELS, spread_predictions
from tests.export.encoded_images import photo
from tests.export.onnx_models import description
from vac_tf.models import build_classifier
from vac_tf.models.cam_head import CAMHead

FAMILIES = (
    *("resnet50v2", "densenet121", "inceptionv3", "xception", "mobilenetv2"),
    *("mobilenetv3small", "efficientnetv2b0", "convnexttiny"),
)


def photographs(count, size):
    """Smooth images, as photographs are."""
    return np.stack([photo(size, size, seed=seed) for seed in range(count)]).astype(np.float32)


def convnext_block():
    """What ConvNeXt has and other backbones do not: groups of one channel, and GELU."""
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3), name="images")
    features = keras.layers.Rescaling(1 / 64, offset=-2)(images)
    features = keras.layers.Conv2D(6, 5, groups=3, padding="same", name="grouped")(features)
    features = keras.layers.Conv2D(4, 16, strides=16, activation="gelu")(features)
    features = keras.layers.Activation("gelu")(features)
    return spread_predictions(keras.Model(images, CAMHead(len(LABELS), name="cam_head")(features)))


def export(network, folder, size):
    """The inference network of a network, and the path of its ONNX file."""
    preprocessing = Preprocessing(size, size)
    inference = InferenceNetwork(network, preprocessing)
    path = str(folder / "model.onnx")
    write_onnx(path, inference, description(LABELS, height=size, width=size), 18)
    return inference, path


def test_groups_of_one_channel_and_gelu(tmp_path):
    network = convnext_block()
    inference, path = export(network, tmp_path, 32)
    layer = inference.network.get_layer("grouped")
    assert isinstance(layer, keras.layers.DepthwiseConv2D) and layer.depth_multiplier == 2
    images = photographs(3, 32)
    expected, actual = network(images), NetworkSession(path).run(images)
    for name in ("logits", "heatmaps"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4, atol=1e-4)


def test_the_served_graph_needs_no_xla():
    inference = InferenceNetwork(convnext_block(), Preprocessing(32, 32))
    function = tf.function(inference.predict, input_signature=[inference.images_signature])
    graph = function.get_concrete_function().graph.as_graph_def()
    assert not [f for f in graph.library.function if "_XlaMustCompile" in f.attr]


def test_erfc_over_its_range(tmp_path):
    values = np.linspace(-6, 6, 101, dtype=np.float32)
    images = keras.Input((1, None, 3), name="images")
    gelu = keras.layers.Activation("gelu")(images)
    network = keras.Model(images, CAMHead(1, pooling="max", name="cam_head")(gelu))
    inference, path = export_values(network, tmp_path, len(values))
    pixels = np.repeat(values[None, None, :, None], 3, axis=-1)
    heatmaps = NetworkSession(path).run(pixels)["heatmaps"]
    np.testing.assert_allclose(heatmaps, inference.predict(pixels)["heatmaps"], atol=2e-6)


def export_values(network, folder, width):
    inference = InferenceNetwork(network, Preprocessing(1, width))
    path = str(folder / "model.onnx")
    write_onnx(path, inference, description(("label",), height=1, width=width), 18)
    return inference, path


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_in_every_precision(family, tmp_path):
    """Random weights after some batches of statistics: a sanity check, not an accuracy."""
    size = 96
    keras.utils.set_random_seed(0)
    network = spread_predictions(build_classifier(family, len(LABELS)))
    images = photographs(16, size)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    for _ in range(6):
        network(images, training=True)
    inference, path = export(network, tmp_path, size)
    expected = {name: value.numpy() for name, value in inference.predict(images).items()}
    model = onnx.load(path)
    assert count_transposes(model) <= (40 if family == "convnexttiny" else 2)
    batches = [images[first : first + 8] for first in (0, 8)]
    described = description(LABELS, height=size, width=size)
    write_model(str(tmp_path / "fp16.onnx"), to_half_precision(model), described)
    write_model(str(tmp_path / "int8.onnx"), quantize(model, batches, "percentile"), described)
    for name, most in (("model", 1e-3), ("fp16", 0.1), ("int8", 0.8)):
        actual = NetworkSession(str(tmp_path / f"{name}.onnx")).run(images)
        assert {key: value.shape for key, value in actual.items()} == {
            key: value.shape for key, value in expected.items()
        }
        for output in ("logits", "heatmaps"):
            error = np.square(actual[output] - expected[output]).mean()
            size = np.square(expected[output]).mean()
            assert np.sqrt(error / size) < most, (name, output)
