"""An export to a disk without room says which disk it was, and leaves what was there."""

import errno
import os
import shutil

import pytest
import tensorflow as tf

from export.building import exporter
from export.building.config import ExportConfig
from export.building.conversion import onnx_graph
from export.bundle.folder import new_bundle
from tests.export.onnx_models import convolution_model

FULL = "bundle/saved_model/variables/data.tempstate; No space left on device"


@pytest.fixture
def config(tmp_path):
    """An older bundle, which a new export would replace."""
    with new_bundle(str(tmp_path / "bundle")) as folder:
        with open(os.path.join(folder, "bundle.json"), "w") as file:
            file.write("older")
    return ExportConfig(str(tmp_path / "run"), str(tmp_path / "bundle"))


def fail(monkeypatch, error):
    """As if a writer met `error`; the first step of an export stands for all of them."""

    def read_run(path):
        raise error

    monkeypatch.setattr(exporter, "RunFolder", read_run)


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, FULL),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
    ],
)
def test_a_full_disk_is_named_and_the_older_bundle_stays(config, monkeypatch, error):
    fail(monkeypatch, error)
    with pytest.raises(OSError, match="disk has no room.* MiB free .* --bundle_dir") as caught:
        exporter.export_run(config)
    assert repr(config.bundle_dir) in str(caught.value) and "\n" not in str(caught.value)
    assert os.listdir(config.bundle_dir) == ["bundle.json"]
    assert os.listdir(os.path.dirname(config.bundle_dir)) == ["bundle"]


def test_a_full_folder_of_temporary_files_is_told_though_onnx_runtime_does_not(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("Protobuf serialization failed.")

    monkeypatch.setattr(onnx_graph.onnxruntime, "InferenceSession", fail)
    with pytest.raises(RuntimeError, match="Protobuf"):
        onnx_graph.optimize_graph(convolution_model())
    usage = shutil.disk_usage("/")._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="No space left on device"):
        onnx_graph.optimize_graph(convolution_model())


def test_other_errors_stay_as_they_are(config, monkeypatch):
    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    fail(monkeypatch, error)
    with pytest.raises(tf.errors.ResourceExhaustedError) as caught:
        exporter.export_run(config)
    assert caught.value is error
