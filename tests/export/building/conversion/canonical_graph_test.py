"""The same network gives the same file."""

import random

import numpy as np
import onnx

from export.building.conversion import canonical_graph, onnx_graph
from export.building.conversion.onnx_writer import write_onnx
from export.building.serving_network import InferenceNetwork
from export.bundle.model_file import hash_file
from export.bundle.preprocessing import Preprocessing
from tests.export.building.tiny_run import LABELS, SIZE, tiny_network
from tests.export.onnx_models import convolution_model, description, random_images, run_model


def shuffled(model, seed):
    """The same network as another process may write it."""
    mixed, generator = onnx.ModelProto(), random.Random(seed)
    mixed.CopyFrom(model)
    tensors = {
        tensor.name: f"weight__{seed}{index}"
        for index, tensor in enumerate(mixed.graph.initializer)
    }
    tensors |= {value.name: value.name for value in (*mixed.graph.input, *mixed.graph.output)}
    for index, node in enumerate(mixed.graph.node):
        for name in node.output:
            tensors.setdefault(name, f"{node.name}__{seed}{index}:0")
        node.name += f"__{seed}{index}"
        operands = [tensors[name] for name in node.input]
        if node.op_type in ("Add", "Mul"):
            generator.shuffle(operands)
        for fields, values in (
            (node.input, operands),
            (node.output, map(tensors.get, node.output)),
        ):
            values = list(values)
            del fields[:]
            fields.extend(values)
    weights = list(mixed.graph.initializer)
    generator.shuffle(weights)
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in weights]
    del mixed.graph.initializer[:]
    for tensor in copies:
        tensor.name = tensors[tensor.name]
    mixed.graph.initializer.extend(copies)
    mixed.graph.doc_string = f"converted from function_{seed}"
    return mixed


def test_the_order_of_the_conversion_leaves_no_trace():
    model = convolution_model(streams=2)
    files = [onnx_graph.optimize_graph(shuffled(model, seed)) for seed in range(4)]
    assert len({hash(file.SerializeToString(deterministic=True)) for file in files}) == 1
    images = random_images()
    expected, actual = run_model(model, images), run_model(files[0], images)
    assert set(actual) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=1e-4, atol=1e-4)


def test_operands_and_results_may_be_left_out():
    nodes = [
        onnx.helper.make_node("Clip", ["images", "", "most"], ["clipped"], name="clip"),
        onnx.helper.make_node("Dropout", ["clipped"], ["logits", ""], name="dropout"),
    ]
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2])
        for name in ("images", "logits")
    ]
    most = onnx.numpy_helper.from_array(np.float32(1), "most")
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "graph", values[:1], values[1:], [most])
    )
    canonical_graph.make_canonical(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Clip", "Dropout"]


def test_one_network_gives_the_same_bytes_again(tmp_path):
    network, preprocessing = tiny_network(), Preprocessing(SIZE, SIZE)
    described = description(LABELS, height=SIZE, width=SIZE)
    for name in "ab":
        write_onnx(str(tmp_path / name), InferenceNetwork(network, preprocessing), described, 18)
    assert hash_file(tmp_path / "a") == hash_file(tmp_path / "b")
