"""Backbones by name, and their weight files."""

from functools import partial

import keras
import numpy as np
import pytest

from vac_tf.models import build_classifier, build_dual_stream
from vac_tf.models.backbones import BACKBONES, TORCH, Backbone, build_backbone, get_backbone
from vac_tf.models.classifier import without_head
from vac_tf.models.saliency import build_saliency_network
from vac_tf.models.saving import save_network


def test_unknown_backbone_lists_the_known_ones():
    with pytest.raises(ValueError, match="Unknown backbone 'resnet51'. Known .*small, resnet50"):
        get_backbone("resnet51")
    with pytest.raises(ValueError) as error:
        build_backbone("vgg", (32, 32, 3))
    assert all(name in str(error.value) for name in BACKBONES)


@pytest.mark.parametrize("spelling", ["ResNet50V2", "resnet50_v2", "resnet-50-v2"])
def test_case_and_hyphens_do_not_matter(spelling):
    assert get_backbone(spelling) is BACKBONES["resnet50v2"]


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weight_files_are_loaded(tmp_path, suffix):
    keras.utils.set_random_seed(0)
    trained = build_backbone("small", (None, None, 3))
    path = str(tmp_path / f"trained{suffix}")
    (trained.save if suffix == ".keras" else trained.save_weights)(path)
    loaded = build_backbone("small", (None, None, 3), path)
    for weight, expected in zip(loaded.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    fresh = build_backbone("small", (None, None, 3), "none")
    assert not np.array_equal(fresh.get_weights()[0], trained.get_weights()[0])


def test_missing_weight_file_is_named():
    with pytest.raises(ValueError, match=r"'absent\.keras' not found. Expected 'imagenet', 'none'"):
        build_backbone("small", (None, None, 3), "absent.keras")


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_of_another_network_are_refused(tmp_path, suffix):
    inputs = keras.Input((None, None, 3))
    other = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="other")(inputs))
    path = str(tmp_path / f"other{suffix}")
    (other.save if suffix == ".keras" else other.save_weights)(path)
    with pytest.raises(ValueError, match=f"The weights in '.*other{suffix}' do not fit backbone"):
        build_backbone("small", (None, None, 3), path)


@pytest.mark.parametrize("name", ["noise.keras", "noise.weights.h5", "noise.bin"])
def test_files_that_hold_no_weights_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"these are no weights")
    with pytest.raises(ValueError, match=f"The weights in '.*{name}' do not fit backbone 'small'"):
        build_backbone("small", (None, None, 3), str(path))


def test_small_network_has_no_published_weights():
    with pytest.raises(ValueError, match="no ImageNet weights for backbone 'small'"):
        build_backbone("small", (None, None, 3), "imagenet")


def test_pytorchs_resnet_says_which_file_to_give():
    expected = r"resnet50_v1_5' here. .*curl .*pth\nand give --backbone_weights=weights/resnet50-"
    with pytest.raises(ValueError, match=expected):
        build_backbone("resnet50_v1_5", (None, None, 3), "imagenet")


@pytest.mark.parametrize("build", [partial(build_classifier, num_labels=2), build_saliency_network])
def test_the_network_of_a_run_gives_its_backbone(tmp_path, build):
    network = build("small")
    body = network.get_layer("small")
    body.set_weights([weight + 0.5 for weight in body.get_weights()])
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    loaded = build_backbone("small", (32, 32, 3), path)
    for weight, expected in zip(loaded.get_weights(), body.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    with pytest.raises(ValueError, match="do not fit backbone 'mobilenetv3small'"):
        build_backbone("mobilenetv3small", (32, 32, 3), path)


@pytest.mark.parametrize("of_a_run", [False, True])
def test_weights_of_a_backbone_with_sequential_blocks_are_loaded(tmp_path, monkeypatch, of_a_run):
    """As ConvNeXt has them: they are no streams."""

    def build(input_shape, **options):
        images = keras.Input(input_shape)
        blocks = [
            keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 2, strides=2)])
            for _ in range(2)
        ]
        return keras.Model(images, blocks[1](blocks[0](images)), name="blocks")

    monkeypatch.setitem(BACKBONES, "blocks", Backbone(build, TORCH))
    network = build_classifier("blocks", 2) if of_a_run else None
    body = network.get_layer("blocks") if of_a_run else build_backbone("blocks", (32, 32, 3))
    path = str(tmp_path / "weights.keras")
    save_network(network or body, path)
    loaded = build_backbone("blocks", (32, 32, 3), path)
    for weight, expected in zip(loaded.get_weights(), body.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_dual_stream_network_names_the_runs_to_give(tmp_path):
    stream = without_head(build_classifier("small", 2))
    network = build_dual_stream(stream, stream, 2)
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    with pytest.raises(ValueError, match="two streams.*phase_1a"):
        build_backbone("small", (32, 32, 3), path)
