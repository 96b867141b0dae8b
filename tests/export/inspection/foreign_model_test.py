"""ONNX files of other programs: heatmaps whose mean gives the logits, and clear refusals."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.inspection.foreign_model import open_foreign_model
from tests.export.onnx_models import LABELS, convolution_model
from vac_tf.configs.explanation import ExplanationConfig

SIZE, CHANNELS, NUM_LABELS = 16, 5, 3


def write_channels_first(path, size=SIZE, pooled="GlobalAveragePool", separate_bias=False):
    """As other programs export them: [N, 3, H, W], a convolution of stride 4, pooling, a head."""
    random = np.random.default_rng(0)
    kernel = random.normal(size=(CHANNELS, 3, 4, 4)) / 50
    weights, bias = random.normal(size=(NUM_LABELS, CHANNELS)), random.normal(size=NUM_LABELS)
    tensors = {"kernel": kernel, "fc.weight": weights, "fc.bias": bias}
    if separate_bias:
        tensors["fc.weight"] = weights.T
    nodes = [
        helper.make_node("Conv", ["input", "kernel"], ["conv"], strides=[4, 4]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node(pooled, ["relu"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
    ]
    if separate_bias:
        nodes.append(helper.make_node("MatMul", ["flat", "fc.weight"], ["product"]))
        nodes.append(helper.make_node("Add", ["fc.bias", "product"], ["output"]))
    else:
        nodes.append(
            helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["output"], transB=1)
        )
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, size, size])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", NUM_LABELS])],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in tensors.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path
    )
    return tensors


def opened(path, **changes):
    values = {"model": str(path), "images": "photos", "output": "out", "features": "relu"}
    return open_foreign_model(ExplanationConfig(**values | changes))


def pixels(size=SIZE):
    return np.random.default_rng(1).uniform(0, 255, (2, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize("separate_bias", [False, True])
def test_heatmaps_are_features_times_weights(tmp_path, separate_bias):
    tensors = write_channels_first(tmp_path / "m.onnx", separate_bias=separate_bias)
    found = opened(tmp_path / "m.onnx", pixel_mean="100,110,120", pixel_deviation="50")
    probabilities, heatmaps = found.model.predict(pixels())
    assert heatmaps.shape == (2, 4, 4, NUM_LABELS) and found.model.frame.stride == 4
    logits = heatmaps.mean(axis=(1, 2)) + tensors["fc.bias"]
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), atol=1e-5)
    normalized = ((pixels() - [100, 110, 120]) / 50).reshape(2, 4, 4, 4, 4, 3)
    features = np.maximum(np.einsum("nhawbc,kcab->nhwk", normalized, tensors["kernel"]), 0)
    weights = tensors["fc.weight"] if separate_bias else tensors["fc.weight"].T
    np.testing.assert_allclose(heatmaps, features @ weights, atol=1e-3)


def test_a_network_of_tensorflow_whose_features_lie_otherwise(tmp_path):
    onnx.save(convolution_model(), tmp_path / "m.onnx")
    names = tmp_path / "labels.txt"
    names.write_text("\n".join(LABELS))
    found = opened(tmp_path / "m.onnx", features="stream0/features", label_file=str(names))
    assert found.model.label_names == LABELS
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    expected = session.run(["probabilities"], {"images": pixels()})[0]
    np.testing.assert_allclose(found.model.predict(pixels())[0], expected, atol=1e-5)


def test_the_head_may_be_named_or_given_as_a_file(tmp_path):
    tensors = write_channels_first(tmp_path / "m.onnx")
    expected = opened(tmp_path / "m.onnx").model.predict(pixels())[1]
    np.save(tmp_path / "w.npy", np.float32(tensors["fc.weight"]).T)
    for weights in ("fc.weight", str(tmp_path / "w.npy")):
        found = opened(
            tmp_path / "m.onnx", head_weights=weights, head_bias="fc.bias", logits="output"
        )
        np.testing.assert_allclose(found.model.predict(pixels())[1], expected, rtol=1e-5, atol=1e-5)


def test_an_open_size_must_be_said_and_allows_smaller_images(tmp_path):
    write_channels_first(tmp_path / "m.onnx", size="any")
    with pytest.raises(ValueError, match="takes images of any size.*--image_size"):
        opened(tmp_path / "m.onnx")
    found = opened(tmp_path / "m.onnx", image_size=28)
    assert found.model.frame.takes_other_sizes
    assert found.model.predict(pixels(24))[1].shape == (2, 6, 6, NUM_LABELS)


@pytest.mark.parametrize(
    "changes, expected",
    [
        (
            {"features": "layer4"},
            "no tensor 'layer4'. Its outputs: output. What is pooled there: relu",
        ),
        ({"features": "flat"}, "before it is pooled, 'flat' has shape"),
        ({"features": "conv"}, "do not give what .* itself gives: output is off by"),
        ({"features": "input"}, "no tensor 'input'"),
        ({"logits": "scores"}, "no output 'scores'"),
        (
            {"head_weights": "fc"},
            "no weights 'fc', and there is no such .npy file. Its last weights",
        ),
        ({"head_weights": "kernel"}, r"shape \(5, 3, 4, 4\), the features 'relu' 5 channels"),
        ({"head_weights": "fc.weight"}, "do not give what"),
        ({"image_size": 20}, "takes .* only"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, changes, expected):
    write_channels_first(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=expected):
        opened(tmp_path / "m.onnx", **changes)


def test_a_head_on_the_maximum_and_a_file_that_is_no_onnx_are_refused(tmp_path):
    write_channels_first(tmp_path / "m.onnx", pooled="GlobalMaxPool")
    with pytest.raises(ValueError, match="takes the maximum"):
        opened(tmp_path / "m.onnx")
    (tmp_path / "no.onnx").write_bytes(b"no onnx")
    with pytest.raises(ValueError, match="cannot be read as an ONNX file"):
        opened(tmp_path / "no.onnx")
    write_channels_first(tmp_path / "m.onnx")
    (tmp_path / "l.txt").write_text("a\na\nb")
    with pytest.raises(ValueError, match=r"3 names \(2 distinct\), the head 3 labels"):
        opened(tmp_path / "m.onnx", label_file=str(tmp_path / "l.txt"))


@pytest.mark.slow
def test_a_network_exported_by_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.BatchNorm2d(16), torch.nn.ReLU()]
    features = torch.nn.Sequential(*layers, torch.nn.Conv2d(16, 32, 3, 2, 1), torch.nn.ReLU())
    head = torch.nn.Linear(32, NUM_LABELS)
    network = torch.nn.Sequential(
        features, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head
    ).eval()
    file = str(tmp_path / "m.onnx")
    torch.onnx.export(network, torch.zeros(1, 3, SIZE, SIZE), file, dynamo=False)
    graph = onnx.load(file).graph
    (pooled,) = [node.input[0] for node in graph.node if node.op_type == "GlobalAveragePool"]
    # Its batch is written in: one image at a time.
    image = pixels()[:1]
    found = opened(file, features=pooled, pixel_mean="128", pixel_deviation="64")
    probabilities, heatmaps = found.model.predict(image)
    with torch.no_grad():
        given = torch.tensor(((image - 128) / 64).transpose(0, 3, 1, 2).copy())
        expected = torch.einsum("nchw,lc->nhwl", features(given), head.weight).numpy()
        logits = network(given)
    np.testing.assert_allclose(heatmaps, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities, torch.sigmoid(logits).numpy(), atol=1e-6)
