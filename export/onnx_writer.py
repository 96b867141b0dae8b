"""The network as one ONNX file that describes itself."""

import logging

import onnx
import tensorflow as tf
import tf2onnx

from export.bundle import ModelDescription
from export.inference import InferenceNetwork

BATCH_AXIS = "batch"


def write_onnx(
    path: str, network: InferenceNetwork, description: ModelDescription, opset: int
) -> None:
    """Converts `network` and writes it with its description as `metadata_props`.

    The input is `images`; the outputs are those of `InferenceNetwork.predict`. The batch axis
    is dynamic and named `batch`; all other axes are written in. (Keras's own ONNX export gives
    the same graph, but patches NumPy for the whole process.)
    """
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    signature = [network.images_signature]
    function = tf.function(network.predict, input_signature=signature)
    model, _ = tf2onnx.convert.from_function(function, signature, opset=opset)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    onnx.helper.set_model_props(model, description.to_properties())
    onnx.checker.check_model(model)
    onnx.save(model, path)
