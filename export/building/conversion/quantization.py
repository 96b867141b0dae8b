"""The same graph in 8-bit integers: static, QDQ format, weights per channel."""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterable

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization.registry import QDQRegistry

from export.building.conversion.onnx_graph import (
    begins_depthwise,
    first_nodes,
    head_nodes,
    normalization_nodes,
)
from export.scoring.runtime.input_buffer import INPUT_NAME

# Ranges of activations, with options of `create_calibrator`: its own default for the percentile is
# symmetric, which leaves half of the levels unused after a ReLU.
CALIBRATION_METHODS = {
    "percentile": (quantization.CalibrationMethod.Percentile, {"symmetric": False}),
    "minmax": (quantization.CalibrationMethod.MinMax, {}),
}


# Of a network that begins with a depthwise convolution: the stem and the first two blocks, whose
# few channels everything else is made of. See docs/precision.md for what that gains and costs.
_FIRST_OF_DEPTHWISE = 6


def quantize(
    model: onnx.ModelProto,
    batches: Iterable[np.ndarray],
    method: str,
    float_convolutions: int | None = None,
) -> onnx.ModelProto:
    """Converts the backbone of a float32 graph to INT8.

    Activations are 8-bit unsigned with one range per tensor, weights 8-bit signed with one per
    output channel: what CPUs with VNNI multiply fastest. The normalisation of the images and the
    head stay in float32: a quantised logit is cut off at the largest one seen in calibration.

    Args:
        model: Float32 graph; not changed.
        batches: Batches of images as the graph takes them; one is held at a time.
        method: A key of `CALIBRATION_METHODS`.
        float_convolutions: Number of convolutions, from the images on, that stay in float32; None:
            6 where the second one is depthwise (EfficientNet-Lite, MobileNet), otherwise 0.

    Returns:
        A new graph with QuantizeLinear and DequantizeLinear nodes; other nodes and tensors keep
        their names, except for activations that the quantisation itself makes superfluous.
    """
    model = onnx.shape_inference.infer_shapes(model)
    if float_convolutions is None:
        float_convolutions = _FIRST_OF_DEPTHWISE if begins_depthwise(model) else 0
    in_float = normalization_nodes(model) | head_nodes(model)
    in_float |= first_nodes(model, float_convolutions)
    # All that ONNX Runtime computes in 8 bits: between them a tensor stays in 8 bits.
    operators = list(QDQRegistry)
    quantizer = quantization.QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=quantization.QuantType.QInt8,
        activation_qType=quantization.QuantType.QUInt8,
        tensors_range=_calibrate(model, operators, batches, method),
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(in_float),
        op_types_to_quantize=operators,
        extra_options={},
    )
    with _only_warnings():
        quantizer.quantize_model()
    quantizer.model.topological_sort()
    return quantizer.model.model


@contextlib.contextmanager
def _only_warnings():
    """The quantizer logs a line for every channel whose scale it changes, hundreds in a Lite0."""
    root = logging.getLogger()
    earlier = root.level
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.setLevel(earlier)


def _calibrate(model, operators, batches, method):
    method, options = CALIBRATION_METHODS[method]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        onnx.save(model, path)
        calibrator = quantization.create_calibrator(
            path,
            operators,
            os.path.join(folder, "augmented.onnx"),
            calibrate_method=method,
            extra_options=options,
        )
        # It prints several lines per batch.
        with contextlib.redirect_stdout(io.StringIO()):
            for batch in batches:
                # One reader per batch: a calibrator holds all activations of what a reader gives.
                calibrator.collect_data(_OneBatch(batch))
            return calibrator.compute_data()


class _OneBatch(quantization.CalibrationDataReader):
    def __init__(self, images):
        self._inputs = iter([{INPUT_NAME: images}])

    def get_next(self):
        return next(self._inputs, None)
