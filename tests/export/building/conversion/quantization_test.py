"""INT8 graphs: what is quantised, how weights and ranges are chosen, and that one batch is held."""

import logging

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from export.building.conversion.onnx_graph import begins_depthwise
from export.building.conversion.quantization import CALIBRATION_METHODS, quantize
from tests.export.onnx_models import convolution_model, random_images, run_model

CALIBRATION = random_images(32, seed=1)
IMAGES = random_images(16, seed=2)


HEATMAPS = ("head/maps", "head/maps0", "head/maps1")


def batches(size=8):
    return (CALIBRATION[start : start + size] for start in range(0, len(CALIBRATION), size))


def operators(model):
    return {node.name: node.op_type for node in model.graph.node}


@pytest.mark.parametrize("method", CALIBRATION_METHODS)
@pytest.mark.parametrize("streams", [1, 2])
def test_outputs_stay_near(streams, method):
    model = convolution_model(streams)
    quantized = quantize(model, batches(), method)
    onnx.checker.check_model(quantized, full_check=True)
    expected, actual = run_model(model, IMAGES), run_model(quantized, IMAGES)
    assert set(actual) == set(expected)
    for name, values in actual.items():
        assert values.dtype == np.float32
        correlation = np.corrcoef(values.ravel(), expected[name].ravel())[0, 1]
        assert correlation > 0.99, name
        assert np.any(values != expected[name])


def test_normalisation_and_head_stay_in_float32():
    quantized = quantize(convolution_model(2), batches(), "percentile")
    produced = {name: node for node in quantized.graph.node for name in node.output}
    sources = {
        node.name: [produced[name].op_type for name in node.input if name in produced]
        for node in quantized.graph.node
    }
    for name in ("stream0/stem", "stream1/block"):
        assert sources[name][:2] == ["DequantizeLinear"] * 2
    assert sources["logits"] == ["ReduceMean"]
    inputs = {node.name: list(node.input) for node in quantized.graph.node}
    assert {"head/maps/kernel", "head/maps1/kernel"} <= {inputs[name][1] for name in HEATMAPS}
    assert sources["stream0/normalized"] == ["Mul"]
    assert sources["probabilities"] == ["Gemm"]


@pytest.mark.parametrize(("kept", "quantized_names"), [(0, "stem block"), (1, "block"), (2, "")])
def test_the_first_convolutions_can_stay_in_float32(kept, quantized_names):
    """Of every stream, and with what lies between them."""
    quantized = quantize(convolution_model(2), batches(), "minmax", kept)
    produced = {name: node.op_type for node in quantized.graph.node for name in node.output}
    for node in quantized.graph.node:
        name = node.name.split("/")[-1]
        if name in ("stem", "block"):
            source = produced[node.input[1]] if node.input[1] in produced else "float"
            assert (source == "DequantizeLinear") == (name in quantized_names), node.name


def test_a_network_that_begins_depthwise_keeps_its_first_block_in_float32():
    model = convolution_model()
    assert not begins_depthwise(model)
    (block,) = [node for node in model.graph.node if node.name == "stream0/block"]
    (kernel,) = [each for each in model.graph.initializer if each.name == "stream0/block/kernel"]
    depthwise = numpy_helper.to_array(kernel)[:, :1].copy()
    kernel.CopyFrom(numpy_helper.from_array(depthwise, kernel.name))
    block.attribute.append(onnx.helper.make_attribute("group", depthwise.shape[0]))
    assert begins_depthwise(model)
    operators_of = [operators(quantize(model, batches(), "minmax", kept)) for kept in (None, 6, 0)]
    assert operators_of[0] == operators_of[1] != operators_of[2]


def test_what_the_quantizer_says_of_every_channel_is_not_printed(caplog):
    model = convolution_model()
    (kernel,) = [each for each in model.graph.initializer if each.name == "stream0/block/kernel"]
    tiny = numpy_helper.to_array(kernel) * np.float32(1e-8)
    kernel.CopyFrom(numpy_helper.from_array(tiny, kernel.name))
    with caplog.at_level(logging.INFO):
        quantize(model, batches(), "minmax", 0)
        assert logging.getLogger().level == logging.INFO
    assert not caplog.records


def test_weights_have_a_scale_per_output_channel():
    quantized = quantize(convolution_model(channels=8), batches(), "minmax")
    tensors = {tensor.name: tensor for tensor in quantized.graph.initializer}
    kernel = tensors["stream0/block/kernel_quantized"]
    assert kernel.data_type == TensorProto.INT8
    scales = numpy_helper.to_array(tensors["stream0/block/kernel_scale"])
    assert scales.shape == (8,) and len(set(scales.tolist())) == 8
    # Each channel uses its whole range.
    assert np.abs(numpy_helper.to_array(kernel)).reshape(8, -1).max(axis=1).min() >= 127


def test_logits_beyond_the_calibrated_range_are_not_cut_off():
    model = convolution_model()
    dark = CALIBRATION * 0.5
    quantized = quantize(model, [dark[:16], dark[16:]], "minmax")
    expected, actual = run_model(model, dark)["logits"], run_model(quantized, dark)["logits"]
    assert np.abs(actual).max() > 0.98 * np.abs(expected).max()


def test_ranges_do_not_depend_on_the_batch_size_with_minmax():
    model = convolution_model()
    first, second = (quantize(model, batches(size), "minmax") for size in (4, 16))
    for one, other in zip(first.graph.initializer, second.graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(one), numpy_helper.to_array(other))


def test_batches_are_taken_one_at_a_time():
    taken = []

    def counted():
        for batch in batches():
            taken.append(len(batch))
            yield batch

    quantize(convolution_model(), counted(), "percentile")
    assert taken == [8] * 4
