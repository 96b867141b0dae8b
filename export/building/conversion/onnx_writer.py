"""The network as one ONNX file that describes itself."""

import logging

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from export.building.conversion.onnx_graph import count_transposes, optimize_graph
from export.building.serving_network import InferenceNetwork
from export.bundle.description import ModelDescription

BATCH_AXIS = "batch"


def write_onnx(
    path: str, network: InferenceNetwork, description: ModelDescription, opset: int
) -> int:
    """Converts `network` and writes it with its description as `metadata_props`.

    The input is `images`; the outputs are those of `InferenceNetwork.predict`. The batch axis
    is dynamic and named `batch`; all other axes are written in. (Keras's own ONNX export gives
    the same graph, but patches NumPy for the whole process.)

    Returns:
        Number of Transpose nodes that the conversion left; those that could be are removed.
    """
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    signature = [network.images_signature]
    function = tf.function(network.predict, input_signature=signature)
    handlers = {"Erfc": (_convert_erfc, []), "ReverseV2": (_convert_reverse, [])}
    model, _ = tf2onnx.convert.from_function(
        function, signature, opset=opset, custom_op_handlers=handlers
    )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    write_model(path, optimize_graph(model), description)
    return count_transposes(model)


def _convert_erfc(context, node, name, arguments):
    """erfc(x) = 1 - erf(x), which GELU needs: ONNX has only the latter."""
    shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    (output,) = node.output
    one = context.make_const(f"{name}/one", np.ones((), np.float32)).output[0]
    context.remove_node(name)
    erf = context.make_node("Erf", node.input, name=f"{name}/erf", shapes=[shape], dtypes=[dtype])
    context.make_node(
        "Sub", [one, erf.output[0]], outputs=[output], name=name, shapes=[shape], dtypes=[dtype]
    )


def _convert_reverse(context, node, name, arguments):
    """A slice with steps of -1: tf2onnx's ReverseSequence moves the axes there and back."""
    shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    (output,) = node.output
    axes = np.array(context.get_node_by_output(node.input[1]).get_tensor_value(), np.int64)
    last, beyond, step = -1, np.iinfo(np.int64).min, -1
    places = {
        "starts": np.full_like(axes, last),
        "ends": np.full_like(axes, beyond),
        "axes": axes,
        "steps": np.full_like(axes, step),
    }
    operands = [
        context.make_const(f"{name}/{part}", value).output[0] for part, value in places.items()
    ]
    values = node.input[0]
    context.remove_node(name)
    context.make_node(
        "Slice",
        [values, *operands],
        outputs=[output],
        name=name,
        shapes=[shape],
        dtypes=[dtype],
    )


def write_model(path: str, model: onnx.ModelProto, description: ModelDescription) -> None:
    """Checks a graph and writes it with `description` as its `metadata_props`."""
    onnx.helper.set_model_props(model, description.to_properties())
    onnx.checker.check_model(model)
    onnx.save(model, path)
