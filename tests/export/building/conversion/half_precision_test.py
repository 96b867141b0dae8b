"""FP16 graphs: which nodes stay in float32, and what the rounding costs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export.building.conversion.half_precision import half_nodes, to_half_precision
from export.building.conversion.onnx_graph import tensor_types
from tests.export.onnx_models import convolution_model, random_images, run_model

IMAGES = random_images()


@pytest.mark.parametrize("streams", [1, 2])
def test_outputs_stay_float32_and_near(streams):
    model = convolution_model(streams)
    half = to_half_precision(model)
    onnx.checker.check_model(half, full_check=True)
    expected, actual = run_model(model, IMAGES), run_model(half, IMAGES)
    assert set(actual) == set(expected) and len(actual) == (3 if streams == 1 else 5)
    for name, values in actual.items():
        assert values.dtype == np.float32
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(values, expected[name], atol=2e-3 * scale)
    assert any(np.any(actual[name] != expected[name]) for name in actual)


def test_delicate_nodes_stay_in_float32():
    model = convolution_model(2)
    chosen = half_nodes(model)
    assert {"stream0/stem", "stream1/block", "stream1/sum", "stream0/features"} <= chosen
    assert not {name for name in chosen if name.startswith("head/")}
    assert not chosen & {"stream0/scaled", "stream0/normalized", "heatmaps", "logits"}
    types = tensor_types(to_half_precision(model))
    for name in ("stream0/normalized", "head/pooled", "head/maps", "logits"):
        assert types[name] == TensorProto.FLOAT
    assert types["stream0/block"] == types["stream1/features"] == TensorProto.FLOAT16


def test_images_are_normalised_before_they_are_rounded():
    """In FP16, neighbouring pixel values near 255 differ by 0.125."""
    model = convolution_model()
    images = np.full((1, 16, 16, 3), 250.0, np.float32)
    nearly = images + np.float32(0.03)
    assert np.array_equal(images.astype(np.float16), nearly.astype(np.float16))
    half = to_half_precision(model)
    first, second = (run_model(half, values)["logits"] for values in (images, nearly))
    assert np.any(first != second)


def test_tensors_that_pass_between_precisions_are_cast_once():
    half = to_half_precision(convolution_model(2))
    casts = [node for node in half.graph.node if node.op_type == "Cast"]
    # In: the normalised images of each stream. Out: the joined and each stream's features.
    assert len(casts) == 2 + 1 + 2
    assert len({node.name for node in half.graph.node}) == len(half.graph.node)


def test_weights_of_the_backbone_take_half_the_bytes():
    model = convolution_model(channels=64)
    size = len(to_half_precision(model).SerializeToString()) / len(model.SerializeToString())
    assert 0.4 < size < 0.7


def test_the_model_given_is_not_changed():
    model = convolution_model()
    before = model.SerializeToString()
    to_half_precision(model)
    assert model.SerializeToString() == before
