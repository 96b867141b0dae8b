"""PyTorch's ResNet: its names, its strides, and equality with PyTorch itself."""

import os
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

from tools.python_imports import REPOSITORY
from vac_tf.models import build_classifier
from vac_tf.models.architectures.resnet_v1_5 import resnet_v1_5, torch_name
from vac_tf.models.backbones import TORCH, build_backbone, get_backbone

# Saves images `[B, H, W, 3]`, features `[B, h, w, C]` and, as .pth, a state dict of random weights.
PYTORCH = """
import sys
import numpy as np
import torch
from benchmarks.pytorch_peer.resnet import ResNet

backbone, folder = sys.argv[1:]
torch.manual_seed(0)
network = ResNet(backbone, 7).eval()
for module in network.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        for vector in (module.weight.data, module.running_var):
            vector.uniform_(0.5, 1.5)
        for vector in (module.bias.data, module.running_mean):
            vector.normal_(0, 0.1)
# Odd sides and even ones: padding differs.
images = torch.rand(2, 3, 97, 130) * 255
with torch.no_grad():
    features = network.features(network.normalize(images))
torch.save(network.state_dict(), f"{folder}/weights.pth")
arrays = {"images": images, "features": features}
np.savez(f"{folder}/known.npz", **{k: v.permute(0, 2, 3, 1).numpy() for k, v in arrays.items()})
"""


@pytest.fixture(scope="module")
def thin():
    """One block a stage: every kind of layer that the deep ones have."""
    keras.utils.set_random_seed(0)
    return resnet_v1_5((1, 1, 1, 1), "thin")


def convolutions(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]


def test_layers_are_those_of_torchvision(thin):
    block = ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "downsample.0", "downsample.1"]
    expected = {"conv1", "bn1"}
    expected |= {f"layer{stage}.0.{part}" for stage in (1, 2, 3, 4) for part in block}
    names = [torch_name(layer.name) for layer in thin.layers if layer.weights]
    assert sorted(names) == sorted(expected)
    assert torch_name("stage3_block22_normalization2") == "layer3.22.bn2"


def test_layers_compute_as_torchvision_has_them(thin):
    assert not any(layer.use_bias for layer in convolutions(thin))
    strided = {
        layer.name: layer.kernel_size for layer in convolutions(thin) if layer.strides[0] > 1
    }
    inner = {f"stage{stage}_block0_conv2": (3, 3) for stage in (2, 3, 4)}
    shortcuts = {f"stage{stage}_block0_shortcut": (1, 1) for stage in (2, 3, 4)}
    assert strided == {"stem_conv": (7, 7)} | inner | shortcuts
    normalizations = [
        each for each in thin.layers if isinstance(each, keras.layers.BatchNormalization)
    ]
    assert {(each.epsilon, each.momentum) for each in normalizations} == {(1e-5, 0.9)}


def test_every_cell_counts_where_the_resolution_is_halved(thin):
    """In version 1 the strided 1x1 convolution sees a quarter of them."""
    names = ("stage1_block0_activation", "stage2_block0_normalization2")
    before, after = (thin.get_layer(name).output for name in names)
    stage = keras.Model(before, after)
    cells = tf.Variable(np.random.default_rng(0).uniform(0, 1, (1, 8, 8, 256)).astype("float32"))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(stage(cells) ** 2)
    assert np.abs(tape.gradient(total, cells)).sum(axis=-1).min() > 0


def test_features_have_stride_32_and_2048_channels(thin):
    assert thin.compute_output_shape((2, 224, 192, 3)) == (2, 7, 6, 2048)
    for spelling in ("ResNet50_v1.5", "resnet50-v1-5", "resnet50v15"):
        assert get_backbone(spelling) is get_backbone("resnet50_v1_5")
    backbone = get_backbone("resnet101_v1_5")
    assert (backbone.stride, backbone.normalization) == (32, TORCH)


def test_no_classifier_comes_with_it():
    with pytest.raises(ValueError, match="thin has no classifier of its own here"):
        resnet_v1_5((1, 1, 1, 1), "thin", include_top=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet50_v1_5", 23_508_032), ("resnet101_v1_5", 42_500_160)]
)
def test_equals_pytorch(name, parameters, tmp_path):
    """The parameters are torchvision's 25,557,032 and 44,549,160 without the classifier's."""
    python = os.environ.get("VAC_TORCH_PYTHON")
    if not python:
        pytest.skip("VAC_TORCH_PYTHON names no interpreter that has PyTorch and NumPy")
    subprocess.run([python, "-c", PYTORCH, name, tmp_path], cwd=REPOSITORY, check=True)
    path = str(tmp_path / "weights.pth")
    backbone = build_backbone(name, (None, None, 3), path)
    assert sum(np.prod(weight.shape) for weight in backbone.trainable_weights) == parameters
    with np.load(tmp_path / "known.npz") as known:
        images, expected = known["images"], known["features"]
    features = backbone(get_backbone(name).normalization(images)).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(features, expected, atol=1e-4)
    # And in the network that is trained, with its other batch normalisation.
    classifier = build_classifier(name, 2, weights=path)
    body = keras.Model(classifier.inputs[0], classifier.get_layer("cam_head").input)
    np.testing.assert_allclose(body(images), expected, atol=1e-4)
