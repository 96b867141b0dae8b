"""Vision transformers: which tokens are the grid, and that it lies as the image does."""

import keras
import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.models import build_classifier
from vac_tf.models.architectures.token_grid import token_grid, with_grid
from vac_tf.models.backbones import get_backbone
from vac_tf.models.classifier import without_head
from vac_tf.models.saving import load_network, save_network
from vac_tf.training.method_check import check_method

layers = keras.layers
SIDE, PATCH, CHANNELS = 32, 8, 6
GRID = SIDE // PATCH


def vision_transformer(others=1, head=()):
    """One block of a vision transformer of Keras's layers; `others` tokens before the patches."""
    images = keras.Input((SIDE, SIDE, 3))
    patches = layers.Conv2D(CHANNELS, PATCH, PATCH)(layers.Rescaling(1 / 127.5, -1)(images))
    tokens = layers.Reshape((GRID * GRID, CHANNELS))(patches)
    tokens = layers.ZeroPadding1D((others, 0))(tokens)
    count = GRID * GRID + others
    tokens = layers.EinsumDense("btc,cd->btd", (count, CHANNELS), bias_axes="td")(tokens)
    normal = layers.LayerNormalization()(tokens)
    attended = layers.MultiHeadAttention(2, 3, dropout=0.5)(normal, normal)
    outputs = layers.Add(name="tokens")([tokens, attended])
    for layer in head:
        outputs = layer(outputs)
    return keras.Model(images, outputs)


def saved(path, model):
    model.save(path)
    return f"keras:{path}"


@pytest.mark.parametrize(
    ("tokens", "image_size", "expected"),
    [
        (196, 224, (14, 0)),
        (197, 224, (14, 1)),  # ViT-B/16
        (198, 224, (14, 2)),  # DeiT with distillation
        (50, 224, (7, 1)),  # ViT-B/32
        (261, 224, (16, 5)),  # DINOv2 with registers, patches of 14 pixels
        (577, 384, (24, 1)),
        (1, 32, (1, 0)),
        (40, 224, None),
        (0, 224, None),
    ],
)
def test_the_grids_of_published_transformers(tokens, image_size, expected):
    assert token_grid(tokens, image_size) == expected


@pytest.mark.parametrize("others", [0, 1, 5])
def test_tokens_become_features_without_those_before_the_patches(others):
    model = vision_transformer(others)
    images = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.float32)
    expected = np.asarray(model(images))[:, others:].reshape(2, GRID, GRID, CHANNELS)
    np.testing.assert_array_equal(with_grid(model)(images), expected)


def test_heatmaps_lie_as_the_image_does(tmp_path):
    """A patch that lights up lights the cell at its place, through head, training copy and file."""
    images = keras.Input((SIDE, SIDE, 3))
    mean = layers.AveragePooling2D(PATCH)(layers.Rescaling(1 / 255)(images))
    tokens = layers.ZeroPadding1D((1, 0))(layers.Reshape((GRID * GRID, 3))(mean))
    network = build_classifier(saved(tmp_path / "own.keras", keras.Model(images, tokens)), 2)
    network.layers[-1].kernel.assign(np.ones((3, 2)))
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    for row, column in ((0, 0), (0, GRID - 1), (2, 1)):
        image = np.zeros((1, SIDE, SIDE, 3), np.float32)
        place = (slice(start * PATCH, (start + 1) * PATCH) for start in (row, column))
        image[(0, *place)] = 255.0
        expected = np.zeros((GRID, GRID))
        expected[row, column] = 3.0
        for each in (network, load_network(path)):
            heatmaps = each(image)["heatmaps"][0]
            np.testing.assert_allclose(heatmaps[..., 1], expected, atol=1e-5)


def test_a_transformer_is_a_backbone_of_one_image_size(tmp_path):
    backbone = saved(tmp_path / "vit.keras", vision_transformer())
    assert get_backbone(backbone).stride == PATCH and get_backbone(backbone).image_size == SIDE
    network = build_classifier(backbone, 3)
    images = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.float32)
    assert network(images)["heatmaps"].shape == (2, GRID, GRID, 3)
    expected = with_grid(vision_transformer_of(backbone))(images)
    # Without dropout in training: two views of an image would differ by it.
    np.testing.assert_allclose(without_head(network)(images, training=True), expected, atol=1e-5)
    run = {"run_dir": "run", "backbone": backbone, "image_size": SIDE}
    check_method(TrainConfig(**run, transforms="hflip"))
    for wrong in ({"image_size": 64}, {"transforms": "scale:16"}):
        with pytest.raises(ValueError, match=r"images of 32 pixels only.*--image_size=32, and no"):
            check_method(TrainConfig(**(run | wrong)))
    with pytest.raises(ValueError, match="32 pixels only, not of 64"):
        build_classifier(backbone, 3, image_size=64)


def vision_transformer_of(backbone):
    return load_network(backbone.removeprefix("keras:"))


def test_what_has_no_grid_is_refused_with_what_to_do(tmp_path):
    backbone = saved(tmp_path / "odd.keras", vision_transformer(others=6))
    with pytest.raises(ValueError, match=r"odd\.keras.*22 tokens.*Reshape\(\(height, width"):
        get_backbone(backbone)
    head = (layers.GlobalAveragePooling1D(), layers.Dense(10))
    backbone = saved(tmp_path / "classifier.keras", vision_transformer(head=head))
    with pytest.raises(ValueError, match=r"no place for heatmaps.*get_layer\('tokens'\)\.output"):
        get_backbone(backbone)
