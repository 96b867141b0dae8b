"""Backbones from the files of PyTorch's libraries: all tensors in their places, or none."""

import json

import keras
import numpy as np
import pytest

from vac_tf.models.backbones import BACKBONES, TORCH, Backbone, build_backbone
from vac_tf.models.weights.torch_backbone import TorchWeights

COLOURS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.fixture
def published(monkeypatch):
    """Name of a backbone of one convolution, in torchvision's place for it."""

    def build(input_shape, weights, include_top):
        del weights, include_top
        images = keras.Input(input_shape)
        features = keras.layers.Conv2D(4, 3, use_bias=False, name="stem")(images)
        return keras.Model(images, features, name="published")

    colours = tuple(tuple(255 * each for each in values) for values in COLOURS.values())
    weights = TorchWeights({"stem": "conv1"}.get, "fc.", colours, "Ask its authors.")
    monkeypatch.setitem(BACKBONES, "published", Backbone(build, TORCH, torch_weights=weights))
    return "published"


def tensors():
    random = np.random.default_rng(0).normal
    shapes = {"conv1.weight": (4, 3, 3, 3), "fc.weight": (7, 4), "fc.bias": (7,)}
    return {name: random(size=shape).astype("float32") for name, shape in shapes.items()}


def timm_folder(folder, config):
    files = pytest.importorskip("safetensors.numpy")
    files.save_file(tensors(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_a_timm_folder_and_its_file_give_the_same_without_the_classifier(published, tmp_path):
    folder = timm_folder(tmp_path, {"architecture": "published", "pretrained_cfg": COLOURS})
    for path in (folder, f"{folder}/model.safetensors"):
        (kernel,) = build_backbone(published, (8, 8, 3), path).get_weights()
        np.testing.assert_array_equal(kernel, tensors()["conv1.weight"].transpose(2, 3, 1, 0))


def test_a_folder_of_other_colours_is_refused(published, tmp_path):
    folder = timm_folder(tmp_path, {"pretrained_cfg": COLOURS | {"mean": [0.5, 0.5, 0.5]}})
    expected = r"mean is \[0.5, 0.5, 0.5\], but this backbone takes \[0.485, 0.456, 0.406\]"
    with pytest.raises(ValueError, match=f"do not fit backbone 'published': .*{expected}"):
        build_backbone(published, (8, 8, 3), folder)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="config.json: expected a JSON object"):
        build_backbone(published, (8, 8, 3), folder)


def test_what_is_not_there_is_asked_for_as_it_is_published(published, tmp_path):
    with pytest.raises(ValueError, match=r"'absent\.pth' not found. Ask its authors."):
        build_backbone(published, (8, 8, 3), "absent.pth")
    with pytest.raises(ValueError, match="No file of tensors at '.*/model.safetensors'"):
        build_backbone(published, (8, 8, 3), str(tmp_path))


def test_a_file_of_pytorch_that_is_none_is_refused(published, tmp_path):
    path = tmp_path / "noise.pth"
    path.write_bytes(b"these are no weights")
    with pytest.raises(ValueError, match="noise.pth' do not fit backbone 'published': .*bytes"):
        build_backbone(published, (8, 8, 3), str(path))
