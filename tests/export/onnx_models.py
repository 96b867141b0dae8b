"""Tiny ONNX models that describe themselves, for tests of scorer and exporter."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from export.bundle.description import ModelDescription
from export.bundle.preprocessing import Preprocessing

LABELS = ("red", "green", "blue")


def description(labels=LABELS, **changes):
    values = {"height": 8, "width": 8} | changes
    return ModelDescription(labels, (0.5,) * len(labels), Preprocessing(**values))


def write_channel_mean_model(
    path, model_description=None, scale=1 / 32, opset=18, embeddings=False
):
    """Logit of label i = (mean of channel i - 128) * scale; 128 gives exactly 0.5.

    The embedding, on request, is the mean of each channel. With `tta` in the description the
    stability is 1 less half of the probability.
    """
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
    outputs, constants = [], constants | {"half": [0.5], "one": [1.0]}
    if model_description.tta:
        nodes.append(helper.make_node("Mul", ["probabilities", "half"], ["spread"]))
        nodes.append(helper.make_node("Sub", ["one", "spread"], ["stability"]))
        outputs.append(_value("stability", [len(model_description.label_names)]))
    if embeddings:
        nodes.append(helper.make_node("Identity", ["means"], ["embeddings"]))
        outputs.append(_value("embeddings", [3]))
    graph = helper.make_graph(
        nodes,
        "channel_means",
        [helper.make_tensor_value_info("images", dtype, grid)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, batch),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, batch),
            helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, grid),
            *outputs,
        ],
        [
            helper.make_tensor(
                name,
                TensorProto.INT64 if name == "axes" else TensorProto.FLOAT,
                [len(values)],
                values,
            )
            for name, values in constants.items()
            if any(name in node.input for node in nodes)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    helper.set_model_props(model, model_description.to_properties())
    onnx.save(model, path)
    return str(path)


def convolution_model(
    streams=1, size=16, channels=8, labels=LABELS, seed=0, model_description=None
):
    """A network as the exporter writes them, of `streams` backbones that one head joins.

    Each backbone is two convolutions with a shortcut; the node names start with `stream0/` and so
    on. With several streams there is an output `stream0_heatmaps` per stream as well.
    """
    generator = np.random.default_rng(seed)
    nodes, weights = [], []

    def weight(name, *shape, scale=None):
        values = generator.normal(size=shape) * (scale or np.prod(shape[1:]) ** -0.5)
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def convolution(inputs, name, filters, from_channels, kernel=3):
        parameters = [weight(f"{name}/kernel", filters, from_channels, kernel, kernel)]
        parameters.append(weight(f"{name}/bias", filters, scale=0.1))
        pads = [kernel // 2] * 4
        return node("Conv", [inputs, *parameters], name, pads=pads, kernel_shape=[kernel] * 2)

    features = []
    for stream in (f"stream{index}" for index in range(streams)):
        weights.append(numpy_helper.from_array(np.float32([1 / 64]), f"{stream}/scale"))
        weights.append(numpy_helper.from_array(np.float32([-2.0]), f"{stream}/offset"))
        scaled = node("Mul", ["images", f"{stream}/scale"], f"{stream}/scaled")
        normalized = node("Add", [scaled, f"{stream}/offset"], f"{stream}/normalized")
        first = node("Transpose", [normalized], f"{stream}/channels_first", perm=[0, 3, 1, 2])
        stem = node("Relu", [convolution(first, f"{stream}/stem", channels, 3)], f"{stream}/relu")
        block = convolution(stem, f"{stream}/block", channels, channels)
        total = node("Add", [block, stem], f"{stream}/sum")
        features.append(node("Relu", [total], f"{stream}/features"))
    joined = node("Concat", features, "joined", axis=1) if streams > 1 else features[0]
    maps = convolution(joined, "head/maps", len(labels), channels * streams, kernel=1)
    node("Transpose", [maps], "heatmaps", perm=[0, 2, 3, 1])
    weights.append(numpy_helper.from_array(np.int64([2, 3]), "axes"))
    pooled = node("ReduceMean", [joined, "axes"], "head/pooled", keepdims=0)
    kernel = weight("head/kernel", channels * streams, len(labels), scale=1.0)
    node("Gemm", [pooled, kernel, weight("head/bias", len(labels), scale=0.1)], "logits")
    node("Sigmoid", ["logits"], "probabilities")
    shapes = {"logits": [len(labels)], "probabilities": [len(labels)]}
    shapes["heatmaps"] = [size, size, len(labels)]
    if streams > 1:
        for index, own in enumerate(features):
            maps = convolution(own, f"head/maps{index}", len(labels), channels, kernel=1)
            node("Transpose", [maps], f"stream{index}_heatmaps", perm=[0, 2, 3, 1])
            shapes[f"stream{index}_heatmaps"] = shapes["heatmaps"]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [_value("images", [size, size, 3])],
        [_value(name, shape) for name, shape in shapes.items()],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    described = model_description or description(labels, height=size, width=size)
    helper.set_model_props(model, described.to_properties())
    onnx.checker.check_model(model, full_check=True)
    return model


def _value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


def random_images(count=8, size=16, seed=0):
    """float32 `[count, size, size, 3]` in 0..255, smooth enough to be photographs."""
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 255, (count, 4, 4, 3))
    return corners.repeat(size // 4, axis=1).repeat(size // 4, axis=2).astype(np.float32)


def run_model(model, images):
    """Outputs by name."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


def damage(model, weight_name, factor=0.5, seed=0):
    """The model with noise of `factor` times its size added to one weight."""
    damaged = onnx.ModelProto()
    damaged.CopyFrom(model)
    (tensor,) = [value for value in damaged.graph.initializer if value.name == weight_name]
    values = numpy_helper.to_array(tensor)
    noise = np.random.default_rng(seed).normal(size=values.shape) * values.std() * factor
    tensor.CopyFrom(numpy_helper.from_array((values + noise).astype(values.dtype), weight_name))
    return damaged
