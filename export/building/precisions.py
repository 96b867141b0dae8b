"""Writes the other precisions of an exported network, each only if it passes the gate."""

import dataclasses
import os
from collections.abc import Iterator

import numpy as np
import onnx

from export.building.config import ExportConfig
from export.building.conversion.half_precision import to_half_precision
from export.building.conversion.onnx_graph import count_transposes
from export.building.conversion.onnx_writer import write_model
from export.building.conversion.quantization import quantize
from export.building.gate.budget import parse_budget, parse_precisions
from export.building.gate.images import scorer_images
from export.building.gate.parity import OutputValueError
from export.building.gate.precision_gate import GateSet, judge
from export.bundle.description import ModelDescription, onnx_file
from export.bundle.preprocessing import Preprocessing
from export.images.preprocessing import to_input_dtype
from vac_tf.datasets import Split

_CALIBRATION_BATCH = 8


def write_precisions(
    folder: str,
    description: ModelDescription,
    gate_set: GateSet,
    calibration: Split,
    config: ExportConfig,
) -> dict[str, dict]:
    """Judges `model.onnx` in `folder`, and writes and judges the other precisions beside it.

    Every file that stays carries its verdict. A precision that is over its budget is not written;
    the others are.

    Args:
        folder: The new bundle; holds `model.onnx` in float32.
        description: Of that file.
        gate_set: What to judge them on.
        calibration: Training images whose activations set the ranges of INT8.
        config: Precisions and budgets.

    Returns:
        Verdict by precision, with the `file`, its `bytes` and its Transpose nodes
        (`transposes`) where accepted.

    Raises:
        OutputValueError: when float32 itself is over its budget.
        ImageError: for a calibration image that the scorer cannot read.
    """
    original = onnx.load(os.path.join(folder, onnx_file("fp32")))
    verdicts = {}
    for precision in parse_precisions(config.precisions):
        model = original
        if precision == "fp16":
            model = to_half_precision(original)
        elif precision == "int8":
            batches = _batches(calibration, description.preprocessing)
            kept = config.int8_float_convolutions
            model = quantize(
                original, batches, config.calibration_method, None if kept < 0 else kept
            )
        described = dataclasses.replace(description, precision=precision)
        path = os.path.join(folder, onnx_file(precision))
        write_model(path, model, described)
        verdict = judge(path, gate_set, _budget(config, precision), original)
        if verdict["accepted"]:
            write_model(path, model, dataclasses.replace(described, verdict=verdict))
            verdict |= {
                "file": onnx_file(precision),
                "bytes": os.path.getsize(path),
                "transposes": count_transposes(model),
            }
        elif precision == "fp32":
            raise OutputValueError(f"fp32 is refused: {refusal(verdict)}")
        else:
            os.remove(path)
        verdicts[precision] = verdict
    return verdicts


def refusal(verdict: dict) -> str:
    """Why a verdict is no acceptance, in one sentence."""
    sentence = "; ".join(verdict["failures"])
    layer = verdict["diverging_layer"]
    return f"{sentence}; {layer}." if layer else f"{sentence}."


def _budget(config, precision):
    if precision == "fp32":
        return parse_budget(precision, f"probability:{config.tolerance!r}")
    return parse_budget(precision, getattr(config, f"{precision}_budget"))


def _batches(split: Split, preprocessing: Preprocessing) -> Iterator[np.ndarray]:
    """The images through the scorer's decoder, in the dtype that the network takes."""
    for start in range(0, len(split), _CALIBRATION_BATCH):
        rows = split.select(range(start, min(start + _CALIBRATION_BATCH, len(split))))
        yield to_input_dtype(scorer_images(rows, preprocessing), preprocessing.input_dtype)
