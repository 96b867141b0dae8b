"""The file of a network: equal after reloading, in float32, with stock layers, or not at all."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from tools.python_imports import REPOSITORY, python_files, reached_files
from vac_tf.models import build_classifier
from vac_tf.models.saving import load_network, save_network

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def network():
    network = build_classifier("small", 3)
    network(IMAGES, training=True)
    return network


def test_reloaded_network_is_equal_and_stock(network, tmp_path):
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    loaded = load_network(path)
    for name, value in loaded(IMAGES).items():
        np.testing.assert_array_equal(value, network(IMAGES)[name])
    normalisations = [
        layer
        for layer in loaded._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(normalisations) == 13
    assert {type(layer) for layer in normalisations} == {keras.layers.BatchNormalization}
    assert os.listdir(tmp_path) == ["network.keras"]


def test_mixed_precision_network_is_saved_in_float32(tmp_path):
    mixed = build_classifier("small", 3, precision="mixed_bfloat16")
    path = str(tmp_path / "network.keras")
    save_network(mixed, path)
    loaded = load_network(path)
    assert {layer.dtype_policy.name for layer in loaded._flatten_layers()} == {"float32"}
    for weight, expected in zip(loaded.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    exact = build_classifier("small", 3)
    exact.set_weights(mixed.get_weights())
    np.testing.assert_array_equal(loaded(IMAGES)["logits"], exact(IMAGES)["logits"])


def test_network_can_be_saved_while_it_trains(network, tmp_path):
    path = str(tmp_path / "network.keras")
    first = network(IMAGES)["logits"].numpy()
    save_network(network, path)
    network(IMAGES, training=True)
    assert not np.array_equal(network(IMAGES)["logits"], first)
    np.testing.assert_array_equal(load_network(path)(IMAGES)["logits"], first)


def test_disk_full_keeps_the_previous_file(network, tmp_path, monkeypatch):
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    before = open(path, "rb").read()

    def full(self, path, *arguments, **options):
        with open(path, "wb") as stream:
            stream.write(b"half of a")
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save_network(network, path)
    assert os.listdir(tmp_path) == ["network.keras"]
    assert open(path, "rb").read() == before


def test_missing_and_damaged_files_are_named(network, tmp_path):
    with pytest.raises(ValueError, match=r"No network at '.*absent\.keras'"):
        load_network(str(tmp_path / "absent.keras"))
    path = tmp_path / "network.keras"
    save_network(network, str(path))
    whole = path.read_bytes()
    for contents in (b"", b"no archive", whole[: len(whole) // 2], whole[:-100]):
        path.write_bytes(contents)
        with pytest.raises(ValueError, match=r"network\.keras' cannot be read as a \.keras file"):
            load_network(str(path))


def test_loaded_network_takes_batches_of_any_size(network, tmp_path):
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    loaded = load_network(path)
    for size in (32, 48):
        heatmaps = loaded(tf.zeros((1, size, size, 3)))["heatmaps"]
        assert heatmaps.shape == (1, size // 16, size // 16, 3)


def test_the_temporary_file_of_a_network_carries_the_process(network, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(keras.Model, "save", lambda self, path: written.append(path))
    with pytest.raises(FileNotFoundError):
        save_network(network, str(tmp_path / "network.keras"))
    assert written == [str(tmp_path / f"network.keras.{os.getpid()}.partial.keras")]


def test_an_empty_file_is_called_empty(tmp_path):
    path = tmp_path / "network.keras"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"network\.keras' cannot be read .*: it is empty"):
        load_network(str(path))


def test_a_file_that_names_another_function_is_refused(tmp_path):
    path = tmp_path / "network.keras"
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Activation("relu", name="here")(inputs)).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    function = {"module": "os", "class_name": "function", "config": "system"}
    function["registered_name"] = "system"
    for layer in config["config"]["layers"]:
        if layer["name"] == "here":
            layer["config"]["activation"] = function
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, contents in parts.items():
            archive.writestr(name, contents)
    with pytest.raises(ValueError, match=r"network\.keras' cannot be read as a \.keras file"):
        load_network(str(path))


def test_keras_alone_says_what_to_import(network, tmp_path, monkeypatch):
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    registered = keras.saving.get_custom_objects()
    for name in [name for name in registered if name.startswith("vac_tf>")]:
        monkeypatch.delitem(registered, name)
    with pytest.raises(TypeError, match="import vac_tf.models"):
        keras.models.load_model(path)


def test_that_import_registers_every_layer():
    files = python_files()
    layers = [
        path
        for path in files
        if path.startswith("vac_tf/models/")
        and "@keras.saving.register_keras_serializable" in (REPOSITORY / path).read_text()
    ]
    assert len(layers) > 4
    assert set(layers) <= reached_files(["vac_tf/models/__init__.py"], files)
