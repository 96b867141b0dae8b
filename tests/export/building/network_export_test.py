"""A network of somebody's own becomes a bundle, by the way that runs go."""

import json

import keras
import numpy as np
import pytest

from export import building, scoring
from export.building.config import NetworkExportConfig
from tests.export.building.tiny_run import tiny_network
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import DecisionRule
from vac_tf.inference.model import Model
from vac_tf.inputs.image_source import ImageSettings

NAMES = ("כלב 🐶", "<b>", "a, b")


def pair_network():
    """A pair of outputs in float16; images of any size."""
    images = keras.Input((None, None, 3))
    features = keras.layers.Rescaling(1 / 255)(images)
    features = keras.layers.SeparableConv2D(4, 3, 8, activation="gelu", dtype="mixed_float16")(
        features
    )
    maps = keras.layers.Conv2D(3, 1, dtype="mixed_float16")(features)
    return keras.Model(images, [maps, keras.layers.GlobalMaxPooling2D()(maps)])


def test_a_network_and_all_that_decides_become_a_bundle(data_dir, tmp_path):
    keras.utils.set_random_seed(0)
    settings = ImageSettings(40, "nearest", apply_exif_orientation=True)
    calibration = Calibration("platt", np.float32([0.5, 1, 2]), np.float32([1, 0, -1]))
    rule = DecisionRule(NAMES, np.float32([0.2, 0.9, 0.5]), calibration, {"objective": "f1"})
    model = Model(pair_network(), NAMES, settings, rule)
    files = sorted(data_dir.glob("val_*"))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    images, folder = [*files, tmp_path / "broken.jpg"], tmp_path / "new" / "bundle"
    report = building.export_network(model, folder, images=images, parity_images=3, tolerance=0.01)
    assert report.exit_code == 0
    content = json.loads((folder / "bundle.json").read_text())
    assert content["parity"]["images"] == 2  # The third is the broken one.
    assert content["model"]["reference"]["images"] == len(files)
    exported = scoring.load(folder)
    assert exported.label_names == NAMES and exported.thresholds == model.thresholds
    assert exported.preprocessing.resize_kernel == "nearest"
    assert exported.preprocessing.apply_exif_orientation
    for expected, found in zip(model(files), exported(files), strict=True):
        # The network computes in float16, the file in float32.
        assert found.probabilities == pytest.approx(expected.probabilities, abs=2e-3)
        np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=0.02)


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


class Scaled(keras.layers.Layer):
    """A layer that Keras cannot make again: it has arguments and no config."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, values):
        return values * self.factor


@pytest.mark.parametrize("kind", ["Scaled", "Lambda"])
def test_a_layer_that_cannot_be_copied_is_named(kind, data_dir, tmp_path):
    layer = Scaled(2.0) if kind == "Scaled" else keras.layers.Lambda(lambda values: 2 * values)
    network = tiny_network()
    outputs = {**network.output, "logits": layer(network.output["logits"])}
    own = Model(keras.Model(network.inputs[0], outputs), NAMES, 32)
    with pytest.raises(ValueError, match=f"{layer.name}', a {kind}, cannot be made again.*config"):
        building.export_network(own, tmp_path / "bundle", images=[data_dir / "val_0.jpg"])
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_needs_a_folder():
    with pytest.raises(ValueError, match="Missing: --bundle_dir"):
        NetworkExportConfig()
