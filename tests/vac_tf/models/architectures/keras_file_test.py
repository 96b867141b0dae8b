"""Backbones from files of Keras models: as they were saved, or refused with the reason."""

import keras
import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.models import build_classifier
from vac_tf.models.backbones import TORCH, build_backbone, get_backbone
from vac_tf.models.classifier import without_head
from vac_tf.models.saving import load_network, save_network
from vac_tf.training.method_check import check_method

layers = keras.layers


def save(path, *parts, shape=(None, None, 3)):
    """Saves a chain of layers, and says how `--backbone` names it."""
    images = keras.Input(shape)
    outputs = images
    for part in parts:
        outputs = part(outputs)
    keras.Model(images, outputs, name="own").save(path)
    return f"keras:{path}"


def convolution(strides=8, **options):
    return layers.Conv2D(5, 9, strides=strides, padding="same", name="features", **options)


def scaling():
    return layers.Rescaling(1 / 64.0, -2.0)


@pytest.fixture
def own(tmp_path):
    return save(tmp_path / "own.keras", scaling(), convolution(), layers.BatchNormalization())


def test_features_are_those_of_the_saved_model(own):
    images = np.random.default_rng(0).uniform(0, 255, (2, 40, 48, 3)).astype(np.float32)
    expected = load_network(own.removeprefix("keras:"))(images)
    assert get_backbone(own).stride == 8
    network = build_classifier(own, 3)
    np.testing.assert_allclose(without_head(network)(images), expected, rtol=1e-5, atol=1e-5)
    assert network(images)["heatmaps"].shape == (2, 5, 6, 3)


def test_the_network_of_a_run_needs_the_file_no_more(own, tmp_path):
    network = build_classifier(own, 3)
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    images = np.full((1, 16, 16, 3), 100.0, np.float32)
    expected = network(images)["logits"]
    np.testing.assert_allclose(load_network(path)(images)["logits"], expected, rtol=1e-5, atol=1e-6)


def test_every_backbone_is_a_copy(own):
    first, second = (build_backbone(own, (None, None, 3)) for _ in range(2))
    kernel = second.get_layer("features").kernel.numpy()
    first.get_layer("features").kernel.assign(kernel + 1.0)
    np.testing.assert_array_equal(second.get_layer("features").kernel, kernel)


def test_a_normalisation_may_be_given(tmp_path):
    path = tmp_path / "plain.keras"
    save(path, convolution(strides=(4, 4)))
    assert get_backbone(f"keras:torch:{path}").normalization == TORCH
    images = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    as_it_is = without_head(build_classifier(f"keras:none:{path}", 2))(images)
    np.testing.assert_allclose(as_it_is, load_network(str(path))(images), rtol=1e-4, atol=1e-4)
    check_method(TrainConfig(run_dir="run", backbone=f"keras:torch:{path}"))
    with pytest.raises(ValueError, match="neither scales.*keras:NORMALIZATION:.*of: none, torch"):
        get_backbone(f"keras:{path}")
    with pytest.raises(ValueError, match="no ImageNet weights for backbone 'keras:torch:"):
        check_method(
            TrainConfig(run_dir="run", backbone=f"keras:torch:{path}", backbone_weights="imagenet")
        )


@pytest.mark.parametrize(
    ("parts", "shape", "message"),
    [
        (
            (convolution(), layers.GlobalAveragePooling2D()),
            (None, None, 3),
            r"no place for heatmaps.*keras\.Model\(model\.input, model\.get_layer\('features'\)",
        ),
        ((convolution(),), (32, 40, 3), r"takes \(None, 32, 40, 3\), expected RGB images of any"),
        (
            (convolution(strides=(4, 8)),),
            (32, 32, 3),
            r"\(8, 4\) cells of \(32, 32\) pixels: expected",
        ),
        ((convolution(),), (None, None, 1), r"takes \(None, None, None, 1\)"),
        ((convolution(strides=(4, 8)),), (None, None, 3), "the same whole stride"),
    ],
)
def test_models_without_places_for_heatmaps_are_refused(tmp_path, parts, shape, message):
    backbone = save(tmp_path / "other.keras", scaling(), *parts, shape=shape)
    with pytest.raises(ValueError, match=message):
        get_backbone(backbone)


def test_missing_and_damaged_files_are_named(tmp_path):
    path = tmp_path / "noise.keras"
    path.write_bytes(b"this is no model")
    with pytest.raises(ValueError, match=r"noise\.keras' cannot be read as a \.keras file"):
        get_backbone(f"keras:{path}")
    with pytest.raises(ValueError, match=r"No Keras model at 'absent\.keras'"):
        get_backbone("keras:absent.keras")


def test_a_file_with_code_is_refused(tmp_path):
    code = layers.Lambda(lambda images: images * 2.0)
    backbone = save(tmp_path / "code.keras", scaling(), code, convolution())
    with pytest.raises(ValueError, match="cannot be read as a .keras file"):
        get_backbone(backbone)
