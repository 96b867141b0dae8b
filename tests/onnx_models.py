"""Tiny ONNX models that describe themselves, for tests of the scorer."""

import onnx
from onnx import TensorProto, helper

from export.bundle import ModelDescription
from export.preprocessing import Preprocessing

LABELS = ("red", "green", "blue")


def description(labels=LABELS, **changes):
    values = {"height": 8, "width": 8} | changes
    return ModelDescription(labels, (0.5,) * len(labels), Preprocessing(**values))


def write_channel_mean_model(path, model_description=None, scale=1 / 32, opset=18):
    """Logit of label i = (mean of channel i - 128) * scale; 128 gives exactly 0.5."""
    model_description = model_description or description()
    size = model_description.preprocessing
    dtype = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}[size.input_dtype]
    batch = ["batch", len(model_description.label_names)]
    grid = ["batch", size.height, size.width, 3]
    constants = {"axes": [1, 2], "middle": [128.0], "scale": [scale]}
    nodes = [
        helper.make_node("Cast", ["images"], ["heatmaps"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["heatmaps", "axes"], ["means"], keepdims=0),
        helper.make_node("Sub", ["means", "middle"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "channel_means",
        [helper.make_tensor_value_info("images", dtype, grid)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, batch),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, batch),
            helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, grid),
        ],
        [
            helper.make_tensor(
                name,
                TensorProto.INT64 if name == "axes" else TensorProto.FLOAT,
                [len(values)],
                values,
            )
            for name, values in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    helper.set_model_props(model, model_description.to_properties())
    onnx.save(model, path)
    return str(path)
