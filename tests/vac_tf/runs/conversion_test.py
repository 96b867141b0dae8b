"""Published checkpoints as run folders: the same function, and one message for what is wrong."""

import os

import keras
import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.conversion import ConversionConfig
from vac_tf.models.backbones import BACKBONES, TORCH, Backbone
from vac_tf.models.saving import load_network
from vac_tf.models.weights.torch_backbone import TorchWeights
from vac_tf.runs.conversion import convert_checkpoint
from vac_tf.runs.folder import RunFolder

files = pytest.importorskip("safetensors.numpy")

LABELS = ("triangle", "circle", "star")
MODULES = {"conv": "layer4.0.conv1", "norm": "layer4.0.bn1"}


@pytest.fixture
def backbone(monkeypatch):
    """One convolution, whose published tensors have torchvision's kind of names."""

    def build(input_shape, weights, include_top):
        del weights, include_top
        images = keras.Input(input_shape)
        features = keras.layers.Conv2D(4, 16, 16, use_bias=False, name="conv")(images)
        features = keras.layers.BatchNormalization(epsilon=1e-5, name="norm")(features)
        return keras.Model(images, features, name="published")

    weights = TorchWeights(MODULES.get, "fc.", ((0.0,) * 3, (1.0,) * 3), "Ask.")
    monkeypatch.setitem(BACKBONES, "published", Backbone(build, TORCH, 16, torch_weights=weights))
    return "published"


def tensors_of(layout, labels=3):
    """Random tensors of a published classifier with the backbone above."""
    random = np.random.default_rng(0).normal
    begin = {"rethinking_of_par": "module.backbone."}.get(layout, "")
    head = {"vac": "fc_all", "torchvision": "fc"}.get(layout, "module.classifier.logits.0")
    shapes = {f"{begin}layer4.0.conv1.weight": (4, 3, 16, 16)}
    shapes |= {f"{head}.weight": (labels, 4), f"{head}.bias": (labels,)}
    named = {name: random(size=shape).astype("float32") for name, shape in shapes.items()}
    norms = {f"{begin}layer4.0.bn1": 4}
    norms |= {"module.classifier.logits.1": labels} if layout == "rethinking_of_par" else {}
    for name, count in norms.items():
        for part in ("weight", "bias", "running_mean"):
            named[f"{name}.{part}"] = random(size=count).astype("float32")
        named[f"{name}.running_var"] = 0.5 + random(size=count).astype("float32") ** 2
        named[f"{name}.num_batches_tracked"] = np.array(7)
    return named


def config_of(folder, tensors, backbone="resnet50_v1_5", **changes):
    """A conversion of these tensors, in a folder of its own."""
    files.save_file(tensors, folder / "published.safetensors")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n\n", encoding="utf-8-sig")
    values = {
        "checkpoint": str(folder / "published.safetensors"),
        "labels": str(folder / "labels.txt"),
        "run_dir": str(folder / "run"),
        "backbone": backbone,
        "image_size": 32,
    }
    return ConversionConfig(**values | changes)


def normalized(values, named, name):
    scale = named[f"{name}.weight"] / np.sqrt(named[f"{name}.running_var"] + 1e-5)
    return (values - named[f"{name}.running_mean"]) * scale + named[f"{name}.bias"]


@pytest.mark.parametrize("layout", ["vac", "rethinking_of_par", "torchvision"])
def test_the_network_computes_what_the_tensors_say(backbone, layout, tmp_path):
    named = tensors_of(layout)
    told = convert_checkpoint(config_of(tmp_path, named, backbone=backbone, layout=layout))
    assert f"published with 3 labels, all {len(named)} tensors of" in told
    network = load_network(str(tmp_path / "run" / "network.keras"))
    images = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    outputs = network(images)

    named = {name.removeprefix("module."): array for name, array in named.items()}
    begin = "backbone." if layout == "rethinking_of_par" else ""
    head = {"vac": "fc_all", "torchvision": "fc"}.get(layout, "classifier.logits.0")
    pixels = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    patches = pixels.reshape(2, 2, 16, 2, 16, 3)
    kernel = named[f"{begin}layer4.0.conv1.weight"]
    features = np.einsum("byixjc,ocij->byxo", patches, kernel)
    features = normalized(features, named, f"{begin}layer4.0.bn1")
    logits = features.mean((1, 2)) @ named[f"{head}.weight"].T + named[f"{head}.bias"]
    if layout == "rethinking_of_par":
        logits = normalized(logits, named, "classifier.logits.1")
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-4, atol=1e-3)
    bias = network.get_layer("cam_head").bias
    np.testing.assert_allclose(np.mean(outputs["heatmaps"], (1, 2)) + bias, logits, atol=1e-3)


def test_the_folder_is_that_of_a_run(backbone, tmp_path):
    config = config_of(tmp_path, tensors_of("vac"), backbone=backbone, pooling="max")
    convert_checkpoint(config)
    folder = RunFolder(config.run_dir)
    assert folder.read_label_names() == list(LABELS)
    expected = {"backbone": backbone, "image_size": 32, "pooling": "max"}
    expected |= {"run_dir": config.run_dir, "backbone_weights": config.checkpoint}
    assert folder.read_config() == TrainConfig(**expected)
    assert set(folder.read_json("selection.json")) == {"epoch", "selected_on", "weights"}
    assert load_network(folder.network_file).get_layer("cam_head").pooling == "max"
    with pytest.raises(ValueError, match="holds a network already; give another --run_dir"):
        convert_checkpoint(config)


def test_images_of_another_shape_than_the_authors_are_said(backbone, tmp_path, caplog):
    changes = {"backbone": backbone, "layout": "rethinking_of_par"}
    convert_checkpoint(config_of(tmp_path, tensors_of("rethinking_of_par"), **changes))
    assert "256 x 192 (height x width); here images are squares of 32" in caplog.text


def test_every_misfit_is_named(backbone, tmp_path):
    named = tensors_of("vac")
    named["layer5.weight"] = named.pop("layer4.0.bn1.bias")
    named["layer4.0.conv1.weight"] = named["layer4.0.conv1.weight"][:, :1].copy()
    named["fc_all.bias"] = named["fc_all.bias"][:2].copy()
    with pytest.raises(ValueError) as error:
        convert_checkpoint(config_of(tmp_path, named, backbone=backbone))
    message = str(error.value)
    assert "published.safetensors': The tensors do not fit network 'published'" in message
    assert "missing: layer4.0.bn1.bias; not expected: layer5.weight" in message
    assert "fc_all.bias (2,) instead of (3,), layer4.0.conv1.weight (4, 1, 16, 16)" in message
    assert not os.path.exists(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layout": "torchvision"},
            r"no head 'fc.weight'.* are fc_all.weight. Known layouts: vac \(fc_all",
        ),
        ({"backbone": "small"}, "Backbone 'small' is not PyTorch's.*give --backbone=resnet50_v1_5"),
        ({"checkpoint": "/nowhere.pth"}, "No file of tensors at '/nowhere.pth'"),
        ({"labels": "/nowhere.txt"}, "No file of labels at '/nowhere.txt'"),
    ],
)
def test_what_cannot_be_converted_is_said(backbone, tmp_path, changes, message):
    config = config_of(tmp_path, tensors_of("vac"), **{"backbone": backbone} | changes)
    with pytest.raises(ValueError, match=message):
        convert_checkpoint(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb", "has 2 names, but the checkpoint has 3 outputs"),
        ("a\nb\na", "repeats 'a'; expected one name a line"),
        ("a\n\nb", "has an empty line"),
    ],
)
def test_labels_that_do_not_fit_are_refused(backbone, tmp_path, text, message):
    config = config_of(tmp_path, tensors_of("vac"), backbone=backbone)
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        convert_checkpoint(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": ""}, "checkpoint is needed: File of torch.save"),
        ({"run_dir": ""}, "run_dir is needed: Folder of this run"),
        ({"loss": "multiple_cross_entropy"}, "one stream and one output a label"),
        ({"model": "dual_stream", "saliency_run": "x"}, "one stream and one output a label"),
        ({"check_data": True}, "check_data is a job of train.py: leave it out here"),
        ({"folds": 5}, "folds 5: convert_checkpoint.py converts one network; leave --folds out"),
    ],
)
def test_settings_of_another_kind_of_network_or_job_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        config_of(tmp_path, tensors_of("vac"), **changes)
