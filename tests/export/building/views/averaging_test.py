"""Views inside the exported graph: equal to single views by the plain export, put together here."""

import dataclasses
import os

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from export.building.conversion.onnx_writer import write_onnx
from export.building.serving_network import InferenceNetwork
from export.bundle.description import ModelDescription, OutputCalibration
from export.bundle.label_groups import LabelGroup
from export.bundle.preprocessing import Preprocessing
from export.scoring.runtime.session import NetworkSession
from tests.export.building.tiny_run import LABELS, spread_predictions, tiny_network
from tests.export.onnx_models import random_images
from tests.vac_tf.models.dual_stream_test import stream
from vac_tf.evaluation.test_time_views import parse_views
from vac_tf.geometry import transforms
from vac_tf.metrics.label_groups.decisions import log_odds
from vac_tf.models import build_classifier, build_dual_stream

SIZE = 48
CALIBRATION = OutputCalibration("platt", (0.5, 1.5, 2.0), (0.25, -0.5, 0.0))
GROUP = LabelGroup("pet", (0, 2), at_most_one=True)
EVERY_SPEC = "hflip,vflip,rotate:1,rotate:2,rotate:3,scale:32,scale:64"
# The same by other code: of images, and of heatmaps back.
BY_HAND = {
    "hflip": (lambda images: images[:, :, ::-1], lambda maps: maps[:, :, ::-1]),
    "vflip": (lambda images: images[:, ::-1], lambda maps: maps[:, ::-1]),
    "rotate:1": (lambda images: turned(images, 1), lambda maps: turned(maps, 3)),
    "rotate:2": (lambda images: turned(images, 2), lambda maps: turned(maps, 2)),
    "rotate:3": (lambda images: turned(images, 3), lambda maps: turned(maps, 1)),
    "scale:32": (lambda images: resized(images, 32), lambda maps: resized(maps, 3)),
    "scale:64": (lambda images: resized(images, 64), lambda maps: resized(maps, 3)),
}


def turned(values, quarter_turns):
    return np.rot90(values, quarter_turns, (1, 2))


def resized(values, size):
    values = np.ascontiguousarray(values)
    return tf.image.resize(values, (size, size), antialias=True).numpy()


def session_of(path, network, tta="", size=SIZE, label_groups=(), **settings):
    """The exported network with these views, opened."""
    groups = {"label_groups": tuple(label_groups)}
    preprocessing = Preprocessing(size, size, **settings)
    views = parse_views(tta)
    inference = InferenceNetwork(network, preprocessing, CALIBRATION, True, label_groups, views)
    description = ModelDescription(
        LABELS,
        (0.5,) * len(LABELS),
        preprocessing,
        calibration=CALIBRATION,
        tta=tuple(view.spec for view in views),
        **groups,
    )
    write_onnx(str(path), inference, description, opset=18)
    return NetworkSession(str(path))


def by_hand(networks, images, tta, groups=()):
    """The outputs of all views from the plain exports of each size, averaged in NumPy."""
    singles = [networks[SIZE].run(images)]
    for spec in tta.split(","):
        view, back = BY_HAND[spec]
        view = np.ascontiguousarray(view(images), np.float32)
        outputs = networks[view.shape[1]].run(view)
        singles.append({k: back(v) if v.ndim == 4 else v for k, v in outputs.items()})
    names = [name for name in singles[0] if name != "probabilities"]
    means = {name: np.mean([single[name] for single in singles], axis=0) for name in names}
    calibrated = means["logits"] * CALIBRATION.scales + CALIBRATION.offsets
    means["probabilities"] = scipy.special.expit(log_odds(calibrated, groups))
    of_views = np.stack([single["probabilities"] for single in singles])
    means["stability"] = 1 - (of_views.max(axis=0) - of_views.min(axis=0))
    return means


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A tiny network and its plain exports by their size, each made when it is needed."""
    folder, network = tmp_path_factory.mktemp("plain"), tiny_network()

    class BySize(dict):
        def __missing__(self, size):
            path = folder / f"{size}.onnx"
            self[size] = session_of(path, network, size=size, label_groups=(GROUP,))
            return self[size]

    return network, BySize()


SLOW = ("hflip", "scale:64", EVERY_SPEC)


@pytest.mark.parametrize(
    "tta", ["hflip,rotate:3,scale:64", *(pytest.param(tta, marks=pytest.mark.slow) for tta in SLOW)]
)
def test_the_graph_equals_single_views_put_together(plain, tmp_path, tta):
    network, sessions = plain
    session = session_of(tmp_path / "tta.onnx", network, tta, label_groups=(GROUP,))
    assert session.has_stability and not sessions[SIZE].has_stability
    images = random_images(5, SIZE)
    expected, found = by_hand(sessions, images, tta, (GROUP,)), session.run(images)
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == np.float32 and found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    stability = found["stability"]
    assert stability.min() < 0.99 and 0.0 <= stability.min() and stability.max() <= 1.0
    # The views differ by more than what is allowed here.
    alone = sessions[SIZE].run(images)
    assert np.abs(alone["logits"] - found["logits"]).max() > 0.01
    assert np.abs(alone["heatmaps"] - found["heatmaps"]).max() > 0.01
    # Batch by batch and image by image are the same.
    np.testing.assert_allclose(session.run(images[:1])["logits"], found["logits"][:1], atol=1e-5)


def test_with_a_mirrored_view_a_mirrored_image_gives_the_same(plain, tmp_path):
    session = session_of(tmp_path / "tta.onnx", plain[0], "hflip")
    images = random_images(4, SIZE)
    found = session.run(images)
    mirrored = session.run(np.ascontiguousarray(images[:, :, ::-1]))
    for name in ("logits", "probabilities", "stability", "embeddings"):
        np.testing.assert_allclose(mirrored[name], found[name], atol=1e-5)
    np.testing.assert_allclose(mirrored["heatmaps"][:, :, ::-1], found["heatmaps"], atol=1e-5)
    assert np.abs(mirrored["heatmaps"] - found["heatmaps"]).max() > 0.1
    symmetric = np.concatenate([images, images[:, :, ::-1]], axis=2)[:, :, ::2]
    symmetric = np.ascontiguousarray((symmetric + symmetric[:, :, ::-1]) / 2)
    np.testing.assert_allclose(session.run(symmetric)["stability"], 1.0, atol=1e-6)
    assert found["stability"].max() < 1.0 - 1e-4


@pytest.mark.slow
def test_a_photograph_of_one_colour_looks_alike_at_every_size_and_turn(plain, tmp_path):
    session = session_of(tmp_path / "tta.onnx", plain[0], EVERY_SPEC)
    grey = np.full((2, SIZE, SIZE, 3), 99.0, np.float32)
    np.testing.assert_allclose(session.run(grey)["stability"], 1.0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"input_dtype": "uint8"}, {"resize_kernel": "nearest"}])
def test_views_are_made_of_whatever_the_input_is(plain, tmp_path, settings):
    session = session_of(tmp_path / "tta.onnx", plain[0], "rotate:1", **settings)
    images = np.rint(random_images(3, SIZE))
    expected = by_hand(plain[1], images, "rotate:1", (GROUP,))["logits"]
    found = session.run(images.astype(session.description.preprocessing.input_dtype))
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-4, atol=1e-4)


def test_both_streams_have_their_heatmaps_averaged():
    network = build_dual_stream(stream(5, 8), stream(7, 16), len(LABELS))
    views = parse_views("hflip,scale:64")
    inference = InferenceNetwork(network, Preprocessing(SIZE, SIZE), views=views)
    images = random_images(2, SIZE)
    found = {name: value.numpy() for name, value in inference.predict(images).items()}
    plain = InferenceNetwork(network, Preprocessing(SIZE, SIZE)).predict
    wide = InferenceNetwork(network, Preprocessing(64, 64)).predict
    for name, cells in (("heatmaps", 6), ("trunk_heatmaps", 6), ("branch_heatmaps", 3)):
        of_views = [
            plain(images)[name].numpy(),
            plain(np.ascontiguousarray(images[:, :, ::-1]))[name].numpy()[:, :, ::-1],
            resized(wide(resized(images, 64))[name].numpy(), cells),
        ]
        assert found[name].shape[1:3] == (cells, cells)
        np.testing.assert_allclose(found[name], np.mean(of_views, axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_weights_are_in_the_file_once(tmp_path):
    network = spread_predictions(build_classifier("small", len(LABELS)))
    sizes = {}
    for name, tta in (("plain", ""), ("tta", "hflip,scale:64,scale:96")):
        session_of(tmp_path / name, network, tta)
        sizes[name] = os.path.getsize(tmp_path / name)
    # Nodes are a tenth of this small file; another copy of its weights would double it.
    assert sizes["tta"] < 1.1 * sizes["plain"]


@pytest.mark.parametrize(
    "tta, message",
    [
        ("hflop", "tta 'hflop': Unknown transform 'hflop'.*hflip, vflip, scale:PIXELS"),
        ("hflip,hflip", "named twice"),
        ("rotate:1,rotate:01", "named twice"),
        ("rotate:4", "1, 2 or 3 quarter turns"),
        ("scale:big", "expected whole numbers"),
        ("scale:0", "at least 1 pixel"),
        ("translate:32:0", "Heatmaps of translate:32:0 cannot be brought back.*Expected hflip"),
        ("affine:10:1:1:0:0:0", "Heatmaps of affine:10:1:1:0:0:0 cannot be brought back"),
        ("splice:2", "Heatmaps of splice:2 cannot be brought back"),
    ],
)
def test_views_that_cannot_be_are_refused(tta, message):
    with pytest.raises(ValueError, match=message):
        parse_views(tta)


def of_one_size(size):
    images = keras.Input((size, size, 3))
    maps = keras.layers.Conv2D(3, 16, strides=16)(images)
    logits = keras.layers.GlobalAveragePooling2D()(maps)
    return keras.Model(images, {"logits": logits, "heatmaps": maps})


@pytest.mark.parametrize(
    "network, tta, message",
    [
        (tiny_network, f"scale:{SIZE}", f"scale:{SIZE} is the size of the images"),
        (tiny_network, "scale:15", "scale:15 is smaller than a cell.*16 pixels"),
        (lambda: of_one_size(SIZE), "scale:64", f"images of {SIZE}x{SIZE} pixels only"),
        (
            lambda: build_dual_stream(stream(5, 8), stream(7, 16), 3),
            "scale:12",
            "smaller than a cell of the network's heatmaps, 16 pixels",
        ),
    ],
)
def test_views_that_a_network_does_not_take_are_refused(network, tta, message):
    with pytest.raises(ValueError, match=message):
        InferenceNetwork(network(), Preprocessing(SIZE, SIZE), views=parse_views(tta))


def test_a_transform_of_ones_own_is_a_view_where_it_can_be_undone(monkeypatch):
    monkeypatch.setattr(transforms, "_TRANSFORMS", dict(transforms._TRANSFORMS))
    transforms.register_transform("transpose", Transposition)
    views = parse_views("transpose")
    network, images = tiny_network(), random_images(2, SIZE)
    found = InferenceNetwork(network, Preprocessing(SIZE, SIZE), views=views).predict(images)
    plain = InferenceNetwork(network, Preprocessing(SIZE, SIZE)).predict
    of_view = plain(np.ascontiguousarray(images.transpose(0, 2, 1, 3)))["heatmaps"].numpy()
    expected = (plain(images)["heatmaps"].numpy() + of_view.transpose(0, 2, 1, 3)) / 2
    np.testing.assert_allclose(found["heatmaps"], expected, rtol=1e-4, atol=1e-4)


@dataclasses.dataclass(frozen=True)
class Transposition(transforms.Transform):
    """Rows become columns; its own inverse."""

    spec = "transpose"

    def images(self, images):
        return tf.transpose(images, (0, 2, 1, 3))

    def restored_heatmaps(self, heatmaps, height, width):
        return tf.transpose(heatmaps, (0, 2, 1, 3))


def test_a_network_of_one_size_takes_views_of_that_size():
    views = parse_views("hflip,rotate:2")
    outputs = InferenceNetwork(of_one_size(SIZE), Preprocessing(SIZE, SIZE), views=views).predict(
        random_images(2, SIZE)
    )
    assert set(outputs) == {"logits", "probabilities", "heatmaps", "stability"}
