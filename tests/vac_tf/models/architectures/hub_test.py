"""Backbones of KerasHub: what is taken and what is refused, and equality with PyTorch."""

import importlib.util
import json
import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from tests.vac_tf.models.architectures.resnet_v1_5_test import PYTORCH
from tools.python_imports import REPOSITORY
from vac_tf.models import build_classifier
from vac_tf.models.backbones import build_backbone, check_backbone_weights, heatmap_stride
from vac_tf.models.saving import load_network, save_network
from vac_tf.models.weights.tensor_file import read_tensors


class Foreign(keras.layers.Layer):
    """A layer that is not Keras's own."""

    def call(self, inputs):
        return inputs


def network_of(*layers):
    return keras.Sequential([keras.Input((None, None, 3)), *layers])


@pytest.fixture
def hub(monkeypatch):
    """A module in the place of KerasHub, whose presets are networks of ours."""
    presets = {
        "fitting": network_of(keras.layers.Conv2D(4, 32, 32)),
        "fine": network_of(keras.layers.Conv2D(4, 16, 16)),
        "tokens": network_of(keras.layers.Conv2D(4, 32, 32), keras.layers.Reshape((-1, 4))),
        "foreign": network_of(keras.layers.Conv2D(4, 32, 32), Foreign()),
        "colourless": network_of(keras.layers.Conv2D(4, 32, 32)),
    }

    def colours(preset):
        scale = None if preset == "colourless" else 0.5
        return types.SimpleNamespace(scale=scale, offset=None)

    module = types.ModuleType("keras_hub")
    module.__spec__ = importlib.util.spec_from_loader("keras_hub", None)
    module.models = types.SimpleNamespace(
        Backbone=types.SimpleNamespace(from_preset=presets.__getitem__)
    )
    module.layers = types.SimpleNamespace(ImageConverter=types.SimpleNamespace(from_preset=colours))
    monkeypatch.setitem(sys.modules, "keras_hub", module)
    return presets


def test_a_preset_is_a_backbone_with_its_weights_and_colours(hub, tmp_path):
    network = build_classifier("hub:fitting", 2)
    assert network.get_layer("normalization").scale == 0.5
    (body,) = (layer for layer in network.layers if isinstance(layer, keras.Model))
    for weight, expected in zip(body.get_weights(), hub["fitting"].get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    save_network(network, str(tmp_path / "network.keras"))
    del sys.modules["keras_hub"]
    loaded = load_network(str(tmp_path / "network.keras"))
    np.testing.assert_allclose(loaded(images)["logits"], network(images)["logits"], rtol=1e-5)
    assert heatmap_stride(("hub:fitting",)) == 32  # Known to an evaluation without KerasHub.


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("absent", "KerasHub cannot load 'absent'.*folder with config.json and model.safetensors"),
        (
            "tokens",
            r"takes 1 inputs and gives \(None, None, 4\), but heatmaps need \[batch, height",
        ),
        ("foreign", r"layers of KerasHub's own \(Foreign\), with which a saved run could not be"),
        ("fine", "has 16 cells a side for images of 256 pixels; only stride 32"),
        ("colourless", "does not say which colours it was trained with"),
    ],
)
def test_what_cannot_be_a_backbone_is_refused(hub, preset, message):
    with pytest.raises(ValueError, match=message):
        build_classifier(f"hub:{preset}", 2)


def test_a_folder_that_is_not_there_is_named(hub, tmp_path):
    for name in (f"hub:{tmp_path}/absent", "hub:./absent"):
        with pytest.raises(ValueError, match="No folder at '.*absent'. Expected one with config"):
            check_backbone_weights(name, "none")
    with pytest.raises(ValueError, match="Give a preset or a folder after hub:"):
        check_backbone_weights("hub:", "none")


def test_without_kerashub_its_installation_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ValueError, match="needs KerasHub. Install it: pip install -r require"):
        check_backbone_weights("hub:resnet_50_imagenet", "imagenet")


@pytest.mark.slow
def test_a_timm_folder_equals_pytorch(tmp_path):
    pytest.importorskip("keras_hub")
    files = pytest.importorskip("safetensors.numpy")
    python = os.environ.get("VAC_TORCH_PYTHON")
    if not python:
        pytest.skip("VAC_TORCH_PYTHON names no interpreter that has PyTorch and NumPy")
    subprocess.run([python, "-c", PYTORCH, "resnet50_v1_5", tmp_path], cwd=REPOSITORY, check=True)
    tensors = read_tensors(str(tmp_path / "weights.pth"))
    files.save_file(tensors, tmp_path / "model.safetensors")
    cut = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    cut |= {"input_size": [3, 224, 224], "interpolation": "bilinear"}
    config = {"architecture": "resnet50", "num_classes": 7, "pretrained_cfg": cut}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with np.load(tmp_path / "known.npz") as known:
        images, expected = known["images"], known["features"]
    network = build_classifier(f"hub:{tmp_path}", 2)
    body = keras.Model(network.inputs[0], network.get_layer("cam_head").input)
    np.testing.assert_allclose(body(images), expected, atol=1e-4)
    ours = build_backbone("resnet50_v1_5", (None, None, 3), str(tmp_path))
    assert body.count_params() == ours.count_params()
