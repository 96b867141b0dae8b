"""An exported network teaches as the run does that it was exported from."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.inspection.onnx_teacher import read_onnx_teacher
from vac_tf.runs import teacher as teachers
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.teacher import read_teacher
from vac_tf.training.distillation.start import start_distillation
from vac_tf.training.run import run


@pytest.fixture(scope="module")
def bundle(finished_run, tmp_path_factory):
    """The model.onnx of the finished run."""
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    export_run(ExportConfig(run_dir=finished_run.run_dir, bundle_dir=str(folder), parity_images=2))
    return str(folder / "model.onnx")


def test_file_and_run_say_the_same(bundle, finished_run):
    of_file, of_run = read_onnx_teacher(bundle), read_teacher(finished_run.run_dir)
    for name in ("label_names", "label_groups", "image_size", "resize_kernel"):
        assert getattr(of_file, name) == getattr(of_run, name)
    images = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    expected = of_run.predict(images)
    found = tf.function(of_file.predict, input_signature=[tf.TensorSpec((None, 32, 32, 3))])(images)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-3)


def test_a_run_is_taught_by_a_file(bundle, finished_run, tiny_backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "TEACHER_FILES", known := {})
    with pytest.raises(ValueError, match=r"it is a file.*train.py and tune.py read .onnx"):
        read_teacher(bundle)
    known[".onnx"] = read_onnx_teacher
    changes = {"run_dir": str(tmp_path / "student"), "teacher": bundle, "backbone": tiny_backbone}
    config = dataclasses.replace(finished_run, **changes, epochs=1)
    assert run(config)["epochs"] == 1
    recorded = RunFolder(config.run_dir).read_json("teacher.json")
    assert recorded["teacher"] == bundle
    names = recorded["label_names"]
    for setting, value in (("strategy", "mirrored"), ("jit_compile", "on")):
        with pytest.raises(ValueError, match=f"neither XLA.*{value}"):
            start_distillation(dataclasses.replace(config, **{setting: value}), names, ())
    with pytest.raises(ValueError, match=r"gone.onnx' cannot be used: No model at"):
        read_teacher("gone.onnx")
