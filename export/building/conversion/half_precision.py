"""The same graph in half precision, its delicate parts kept in float32.

ONNX Runtime's own converter rounds the images to FP16 before they are normalised (0.06 grey
levels near 255) and rounds between neighbouring nodes that it was told to keep in float32; it
also names two casts alike where two such nodes share an input. Here a cast stands only where a
tensor passes from one side to the other.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.building.conversion.onnx_graph import head_nodes, normalization_nodes, tensor_types

# Whose float inputs and outputs may all be FP16. Not among them: sums over many values (means,
# variances) and exponentials, which lose digits or overflow, and whatever is not listed.
HALF_OPERATORS = frozenset(
    "Conv Relu LeakyRelu Clip HardSigmoid HardSwish Sigmoid Add Sub Mul Div MaxPool AveragePool"
    " Concat Pad Transpose Reshape Squeeze Unsqueeze Slice Identity Flatten Gemm MatMul".split()
)


def to_half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Converts the backbone of a float32 graph to FP16.

    Normalisation of the images, pooling and other sums, and the head stay in float32, as do the
    inputs and outputs of the file. A weight above 65504 becomes infinite.

    Args:
        model: Float32 graph, nodes in topological order; not changed.

    Returns:
        A new graph; its nodes and tensors keep their names.
    """
    conversion = _Conversion(model)
    chosen = half_nodes(model)
    for node in model.graph.node:
        conversion.add(node, node.name in chosen)
    half = onnx.ModelProto()
    half.CopyFrom(model)
    del half.graph.node[:], half.graph.initializer[:]
    del half.graph.value_info[:]  # It says float32 of tensors that are not any more.
    half.graph.node.extend(conversion.nodes)
    half.graph.initializer.extend(conversion.used_weights())
    return half


def half_nodes(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that compute in FP16."""
    delicate = normalization_nodes(model) | head_nodes(model)
    outputs = {value.name for value in model.graph.output}
    return {
        node.name
        for node in model.graph.node
        if node.op_type in HALF_OPERATORS
        and node.name not in delicate
        and outputs.isdisjoint(node.output)
    }


class _Conversion:
    """The nodes of the new graph, with casts where float32 and FP16 meet."""

    def __init__(self, model):
        self.nodes = []
        self._types = tensor_types(model)
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._is_half = set()  # Tensors of the new graph that are FP16.
        self._converted = {}  # Tensor -> the same in the other type.

    def add(self, node, in_half):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for index, name in enumerate(node.input):
            is_float = self._types.get(name) == TensorProto.FLOAT
            if is_float and (name in self._is_half) != in_half:
                copy.input[index] = self._convert(name, in_half)
        self.nodes.append(copy)
        if in_half:
            self._is_half.update(node.output)

    def used_weights(self):
        used = {name for node in self.nodes for name in node.input}
        return [tensor for name, tensor in self._weights.items() if name in used]

    def _convert(self, name, to_half):
        if name not in self._converted:
            converted = f"{name}/{'half' if to_half else 'float'}"
            if name in self._weights:
                with np.errstate(over="ignore"):  # Infinite: the gate says so.
                    values = numpy_helper.to_array(self._weights[name]).astype(np.float16)
                self._weights[converted] = numpy_helper.from_array(values, converted)
            else:
                target = TensorProto.FLOAT16 if to_half else TensorProto.FLOAT
                self.nodes.append(
                    helper.make_node("Cast", [name], [converted], name=converted, to=target)
                )
            self._converted[name] = converted
        return self._converted[name]
