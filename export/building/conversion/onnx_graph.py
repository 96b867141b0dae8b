"""The structure of an exported graph: clean-up, Transpose nodes, and which nodes are delicate."""

import errno
import os
import shutil
import tempfile

import onnx
import onnxruntime

from export.building.conversion.canonical_graph import make_canonical
from export.scoring.runtime.input_buffer import INPUT_NAME


def optimize_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network after ONNX Runtime's hardware-independent optimisations.

    Of what the conversion from TensorFlow leaves behind, this moves Transpose nodes through the
    graph until they cancel, and folds constants and padding. All nodes stay standard ONNX; each
    has a name of its own, by which the other functions here choose them.

    Raises:
        OSError: when the folder of temporary files has no room.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = (os.path.join(folder, name) for name in ("source.onnx", "target.onnx"))
        onnx.save(model, source)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = target
        try:
            onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # Of a full disk it says "Protobuf serialization failed." and no more.
            if shutil.disk_usage(folder).free < model.ByteSize():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target) from error
            raise
        optimized = onnx.load(target)
    # It lists every operator set that it knows; an older runtime would refuse the unknown ones.
    domains = {node.domain for node in optimized.graph.node}
    used = [opset for opset in optimized.opset_import if opset.domain in domains]
    del optimized.opset_import[:]
    optimized.opset_import.extend(used)
    make_canonical(optimized)
    return optimized


def count_transposes(model: onnx.ModelProto) -> int:
    """Number of Transpose nodes: each copies a whole tensor."""
    return sum(node.op_type == "Transpose" for node in model.graph.node)


def normalization_nodes(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes between the images in 0..255 and the first convolutions."""
    from_images, names = {INPUT_NAME}, set()
    for node in model.graph.node:
        if node.op_type != "Conv" and from_images.intersection(node.input):
            from_images.update(node.output)
            names.add(node.name)
    return names


def first_nodes(model: onnx.ModelProto, convolutions: int) -> set[str]:
    """Names of the nodes up to which every path from the images has at most so many convolutions.

    What lies between the last of them and the next ones, such as an activation, is among them.
    """
    depths: dict[str, int] = {}
    names = set()
    for node in model.graph.node:
        depth = max((depths.get(name, 0) for name in node.input), default=0)
        depth += node.op_type == "Conv"
        depths.update(dict.fromkeys(node.output, depth))
        if depth <= convolutions:
            names.add(node.name)
    return names


def begins_depthwise(model: onnx.ModelProto) -> bool:
    """Whether the second convolution from the images is depthwise, as in networks for phones."""
    second = first_nodes(model, 2) - first_nodes(model, 1)
    groups = [
        attribute.i
        for node in model.graph.node
        if node.name in second and node.op_type == "Conv"
        for attribute in node.attribute
        if attribute.name == "group"
    ]
    return any(number > 1 for number in groups)


def head_nodes(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes after the last features: pooling, logits, heatmaps and what joins them.

    Those are the nodes whose result no convolution uses. The 1x1 convolutions that make the
    heatmaps are among them, whatever the number of backbones and of outputs.
    """
    feeds_convolution: set[str] = set()
    names = set()
    for node in reversed(model.graph.node):
        if feeds_convolution.isdisjoint(node.output):
            names.add(node.name)
            if node.op_type == "Conv":
                feeds_convolution.update(node.input)
        else:
            feeds_convolution.update(node.input)
    return names


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type (`onnx.TensorProto.FLOAT`, ...) of every tensor of the graph by name."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.output, *graph.value_info)
    }
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}
