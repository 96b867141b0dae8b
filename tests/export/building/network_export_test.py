"""A network of somebody's own becomes a bundle, by the way that runs go."""

import json

import keras
import numpy as np
import pytest

from export import building, scoring
from export.building.config import NetworkExportConfig
from tests.export.building.tiny_run import tiny_network
from tests.export.encoded_images import photo
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import DecisionRule
from vac_tf.inference.model import Model
from vac_tf.inputs.image_source import ImageSettings

NAMES = ("כלב 🐶", "<b>", "a, b")


def pair_network():
    """A pair of outputs in float16, behind an output of features; images of any size."""
    images = keras.Input((None, None, 3))
    features = keras.layers.Rescaling(1 / 255)(images)
    features = keras.layers.SeparableConv2D(4, 3, 8, activation="gelu", dtype="mixed_float16")(
        features
    )
    maps = keras.layers.Conv2D(3, 1, dtype="mixed_float16")(features)
    return keras.Model(images, [maps, keras.layers.GlobalMaxPooling2D()(maps)])


def test_two_outputs_in_any_form_become_a_bundle(tmp_path):
    keras.utils.set_random_seed(0)
    network = pair_network()
    folder = tmp_path / "new" / "bundle"
    report = building.export_network(network, folder, NAMES, image_size=40)
    assert report.exit_code == 0 and report.parity["images"] == 32
    exported = scoring.load(folder)
    assert exported.label_names == NAMES and set(exported.thresholds.values()) == {0.5}
    image = photo()
    expected = Model(network, NAMES, 40)(image)
    found = exported(image)
    # The network computes in float16, the file in float32.
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-3)
    np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=0.02)


def test_a_model_brings_all_that_decides(data_dir, tmp_path):
    network, names = tiny_network(), ("cat", "dog", "bird")
    outputs = network.output | {"features": network.layers[-2].output}
    settings = ImageSettings(32, "nearest", apply_exif_orientation=True)
    calibration = Calibration("platt", np.float32([0.5, 1, 2]), np.float32([1, 0, -1]))
    thresholds = np.float32([0.2, 0.9, 0.5])
    rule = DecisionRule(names, thresholds, calibration, {"objective": "f1"})
    model = Model(keras.Model(network.inputs[0], outputs), names, settings, rule)
    files = sorted(data_dir.glob("val_*"))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    images = [*files, tmp_path / "broken.jpg"]
    building.export_network(model, tmp_path / "bundle", images=images, parity_images=3)
    content = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert content["model"]["resize_kernel"] == "nearest"
    assert content["model"]["apply_exif_orientation"] is True
    assert content["parity"]["images"] == 2  # The third is the broken one.
    exported = scoring.load(tmp_path / "bundle")
    assert exported.thresholds == model.thresholds
    for expected, found in zip(model(files), exported(files), strict=True):
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert found.labels == expected.labels


def test_what_cannot_be_exported_leaves_nothing(tmp_path):
    folder, network = tmp_path / "bundle", tiny_network()
    names = ("cat", "dog", "bird")

    def refused(message, *arguments, error=ValueError, **options):
        with pytest.raises(error, match=message):
            building.export_network(*arguments, **options)

    refused("labels is needed", network, folder, image_size=32)
    refused("Expected 3 different label names.*got 2", network, folder, names[:2], image_size=32)
    refused("give their size", network, folder, names)
    refused("Leave labels out", Model(network, names, 32), folder, labels=names[::-1])
    refused("int8 needs images", network, folder, names, image_size=32, precisions="fp32,int8")
    refused("precission", network, folder, names, image_size=32, precission="x", error=TypeError)
    refused("no such|None of the 1", network, folder, names, image_size=32, images=["gone.jpg"])
    refused("No image is given", network, folder, names, image_size=32, images=[])
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_needs_a_folder():
    with pytest.raises(ValueError, match="Missing: --bundle_dir"):
        NetworkExportConfig()
