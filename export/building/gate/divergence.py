"""The layer of a converted graph at which it leaves the graph that it was made of."""

import dataclasses

import numpy as np
import onnx
import onnxruntime

from export.building.conversion.onnx_graph import tensor_types
from export.scoring.runtime.input_buffer import INPUT_NAME

# Tensors fetched per run: all of a deep network's at once would take gigabytes.
_GROUP = 16


@dataclasses.dataclass(frozen=True)
class Divergence:
    """A layer, and how far its output and its inputs are from those of the float32 graph.

    Attributes:
        node: Name of the node.
        operator: Its ONNX operator.
        error: Of its output: root mean square of the difference over that of the values.
        error_before: The largest such error of its inputs.
    """

    node: str
    operator: str
    error: float
    error_before: float

    def __str__(self) -> str:
        return (
            f"the first layer that diverges is {self.node} ({self.operator}): relative error"
            f" {self.error:.2g}, of its inputs {self.error_before:.2g}"
        )


def first_divergence(
    original: onnx.ModelProto, converted: onnx.ModelProto, images: np.ndarray, floor: float
) -> Divergence | None:
    """Compares the tensors that both graphs name alike, on the same images.

    The layer where the error grows most from its inputs to its output is the one; of equals, the
    first. All layers are compared rather than halves of the graph: parallel branches make the
    error rise and fall along it.

    Args:
        original: The float32 graph.
        converted: The graph made of it.
        images: As the graphs take them.
        floor: Relative error that the number format makes in one layer; growth counts from there.

    Returns:
        The layer, or None when the graphs share no tensor.
    """
    pairs = _counterparts(original, converted)
    errors = {INPUT_NAME: 0.0} | _tensor_errors(original, converted, pairs, images)
    worst, most_growth = None, 0.0
    fused = {}  # Tensor that only the original has -> the first node on the way to it.
    for node in original.graph.node:
        before = max((errors.get(name, 0.0) for name in node.input), default=0.0)
        first = next((fused[name] for name in node.input if name in fused), node)
        own = [errors[name] for name in node.output if name in errors]
        if not own:
            errors.update(dict.fromkeys(node.output, before))
            fused.update(dict.fromkeys(node.output, first))
            continue
        growth = max(own) / max(before, floor) if np.isfinite(before) else 1.0
        if growth > most_growth:
            worst = Divergence(first.name, first.op_type, max(own), before)
            most_growth = growth
    return worst


def _counterparts(original, converted):
    """Float tensor of the original -> the tensor that stands for it in the converted graph.

    Where a tensor is quantised, that is what the 8 bits are turned back to: a ReLU may be left to
    the range of the 8 bits, and the tensor before it then bears the name of the one after it.
    """
    types = tensor_types(original)
    quantized, restored = (
        {node.input[0]: node.output[0] for node in converted.graph.node if node.op_type == kind}
        for kind in ("QuantizeLinear", "DequantizeLinear")
    )
    there = {name for node in converted.graph.node for name in node.output}
    return {
        name: restored.get(quantized.get(name), name)
        for node in original.graph.node
        for name in node.output
        if name in there and types.get(name) == onnx.TensorProto.FLOAT
    }


def _tensor_errors(original, converted, pairs, images):
    sessions = (_expose(original, pairs.keys()), _expose(converted, pairs.values()))
    errors = {}
    names_in_order = list(pairs)
    for start in range(0, len(pairs), _GROUP):
        names = names_in_order[start : start + _GROUP]
        wanted = (names, [pairs[name] for name in names])
        values = [
            session.run(outputs, {INPUT_NAME: images})
            for session, outputs in zip(sessions, wanted, strict=True)
        ]
        for name, expected, actual in zip(names, *values, strict=True):
            errors[name] = _relative_error(expected, actual)
    return errors


def _expose(model, names):
    """A session that can return intermediate tensors."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    outputs = {value.name for value in model.graph.output}
    exposed.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in outputs
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        exposed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _relative_error(expected, actual):
    expected, actual = expected.astype(np.float64), actual.astype(np.float64)
    if not np.isfinite(actual).all():
        return np.inf
    difference = np.sqrt(np.mean((expected - actual) ** 2))
    size = np.sqrt(np.mean(expected**2))
    if size == 0.0:
        return 0.0 if difference == 0.0 else np.inf
    return float(difference / size)
