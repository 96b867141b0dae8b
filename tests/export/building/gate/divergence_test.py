"""A damaged layer is found, in FP16 and in INT8, in any stream and at any depth."""

import numpy as np
import pytest
from onnx import numpy_helper

from export.building.conversion.half_precision import to_half_precision
from export.building.conversion.quantization import quantize
from export.building.gate.divergence import first_divergence
from tests.export.onnx_models import convolution_model, damage, random_images

IMAGES = random_images(4)
LAYERS = ("stream0/stem", "stream0/block", "stream1/stem", "stream1/block", "head/maps1")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_damaged_fp16_layer_is_named(layer):
    model = convolution_model(2)
    half = to_half_precision(model)
    weight = next(
        tensor.name for tensor in half.graph.initializer if f"{layer}/kernel" in tensor.name
    )
    found = first_divergence(model, damage(half, weight, 0.2), IMAGES, 1e-3)
    assert (found.node, found.operator) == (layer, "Conv")
    assert found.error > 0.02 > found.error_before
    assert f"the first layer that diverges is {layer} (Conv): relative error" in str(found)


@pytest.mark.parametrize("layer", LAYERS[:4])
def test_a_damaged_int8_layer_is_named(layer):
    model = convolution_model(2)
    quantized = quantize(model, [random_images(16, seed=3)], "minmax")
    (scale,) = [t for t in quantized.graph.initializer if t.name == f"{layer}/kernel_scale"]
    values = numpy_helper.to_array(scale).copy()
    values[::2] *= 2
    scale.CopyFrom(numpy_helper.from_array(values, scale.name))
    found = first_divergence(model, quantized, IMAGES, 2e-2)
    assert (found.node, found.operator) == (layer, "Conv")


def test_the_layer_that_overflows_is_named():
    model = convolution_model()
    for tensor in model.graph.initializer:
        if tensor.name == "stream0/block/bias":
            values = np.full_like(numpy_helper.to_array(tensor), 1e5)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    found = first_divergence(model, to_half_precision(model), IMAGES, 1e-3)
    assert found.node == "stream0/block" and found.error == np.inf


def test_a_healthy_conversion_grows_little_anywhere():
    model = convolution_model(2)
    assert first_divergence(model, model, IMAGES, 1e-6) is None
    found = first_divergence(model, to_half_precision(model), IMAGES, 1e-3)
    assert found is None or found.error < 5e-3
