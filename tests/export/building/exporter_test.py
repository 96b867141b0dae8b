"""From a run folder to a bundle that equals the network, or to no bundle."""

import dataclasses
import hashlib
import json
import logging
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from pyarrow import parquet

from export.building import exporter
from export.building.config import ExportConfig
from export.building.conversion.onnx_writer import write_onnx
from export.building.exporter import export_run
from export.building.gate.parity import OutputValueError
from export.building.saved_model_writer import write_saved_model
from export.building.serving_network import InferenceNetwork
from export.bundle.folder import checksums, new_bundle
from export.bundle.preprocessing import Preprocessing
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.runtime.session import NetworkSession
from tests.export.building.tiny_run import LABELS, SIZE, tiny_network, write_run, write_table
from tests.export.encoded_images import photo
from tests.export.onnx_models import description
from tools.python_imports import REPOSITORY


def test_bundle_json_holds_the_checksum_of_every_file(bundle):
    content = json.loads((bundle / "bundle.json").read_text())
    files = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert set(content["sha256"]) == files - {"bundle.json", "MODEL_CARD.md"}
    assert {"model.onnx", "saved_model/saved_model.pb"} <= files
    assert all(
        hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
        for name, digest in content["sha256"].items()
    )
    assert sorted(os.listdir(bundle.parent)) == ["bundle"]


def test_the_effect_of_fast_decoding_is_measured(bundle):
    effect = json.loads((bundle / "bundle.json").read_text())["parity"]["fast_decode"]
    # Of all validation images, each label; none of them is large enough to be shrunk.
    assert effect == {
        "decisions": 11 * len(LABELS),
        "decisions_changed": 0,
        "probabilities": 0.0,
    }


def test_the_file_holds_how_the_scores_of_validation_images_are_spread(bundle, data_dir, tmp_path):
    config = ScoringConfig(
        model=str(bundle / "model.onnx"),
        images=str(data_dir / "val.csv"),
        output=str(tmp_path / "rows.csv"),
    )
    report = score(config)
    assert report.drift.reference_images == report.drift.images == 11
    assert report.drift.overall.psi == report.drift.overall.js == 0.0


def test_parity_covers_every_way_to_run_it(bundle):
    outputs = json.loads((bundle / "bundle.json").read_text())["parity"]["outputs"]
    assert set(outputs) == {
        "onnx",
        "onnx_scorer",
        "serving_default",
        "serve_heatmaps",
        "serve_bytes",
    }
    for at_batch in outputs.values():
        assert set(at_batch) == {"batch_1", "batch_3", "batch_8"}
        for figures in at_batch.values():
            assert figures["probabilities"] < 1e-3 and figures["decisions"] == 33


def test_the_onnx_file_declares_names_and_shapes(bundle):
    model = onnx.load(bundle / "model.onnx")
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "images": ["batch", SIZE, SIZE, 3],
        "logits": ["batch", 3],
        "probabilities": ["batch", 3],
        "heatmaps": ["batch", SIZE // 16, SIZE // 16, 3],
    }
    assert {opset.domain: opset.version for opset in model.opset_import}[""] == 18
    operators = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in operators


def test_the_saved_model_holds_each_weight_once(bundle, run):
    prefix = str(bundle / "saved_model/variables/variables")
    stored = sum(np.prod(shape) for name, shape in tf.train.list_variables(prefix))
    network = exporter.load_network(run.network_file)
    assert stored == pytest.approx(sum(np.prod(value.shape) for value in network.variables), abs=1)


def test_how_tensorflow_saves_is_told_where_debugging_is_wanted(tmp_path, caplog):
    network = InferenceNetwork(tiny_network(), Preprocessing(SIZE, SIZE))
    told = []
    for level in (logging.INFO, logging.DEBUG):
        caplog.clear()
        with caplog.at_level(level, "absl"), caplog.at_level(level, "tensorflow"):
            write_saved_model(str(tmp_path / str(level)), network, description(LABELS))
        told.append("Assets written to" in caplog.text)
    assert told == [False, True]


def test_the_onnx_file_describes_itself(bundle, run):
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"))
    properties = session.get_modelmeta().custom_metadata_map
    values = {key: json.loads(value) for key, value in properties.items()}
    assert values["label_names"] == list(LABELS)
    assert values["label_names_sha256"] == hashlib.sha256(b'["cat", "dog", "bird"]').hexdigest()
    assert values["thresholds"] == [0.5] * 3
    assert values["input_size"] == [SIZE, SIZE]
    assert values["resize_kernel"] == "bilinear"
    assert values["max_pixels"] == 89_478_485
    assert values["unknown_labels"] == "ignore"
    places = {"run_dir": "", "data_dir": ""}  # Those of this host are not published.
    assert values["training_config"] == run.read_json("config.json") | places
    assert values["evaluation"] == {"label_based": {"mAP": 0.5}}
    assert values["versions"]["tensorflow"] == tf.__version__
    beside = json.loads((bundle / "saved_model/assets.extra/model.json").read_text())
    # The gate's verdict is about the one file that it was given.
    assert beside == values | {"verdict": None}
    assert values["precision"] == "fp32" and values["verdict"]["accepted"] is True


def test_scores_equal_the_keras_network(bundle, run, data_dir, tmp_path):
    images = sorted(str(path) for path in data_dir.glob("val_*"))
    output = tmp_path / "scores.parquet"
    score(ScoringConfig(str(bundle / "model.onnx"), str(data_dir / "val_*"), output=str(output)))
    rows = parquet.read_table(output).to_pylist()
    assert [row["image"] for row in rows] == images
    network = InferenceNetwork(exporter.load_network(run.network_file), Preprocessing(SIZE, SIZE))
    decided = set()
    for row in rows:
        data = tf.io.read_file(row["image"])
        if row["image"].endswith("jpg"):
            pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        else:
            pixels = tf.io.decode_image(data, channels=3)
        resized = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        expected = network.predict(resized[None])["probabilities"].numpy()[0]
        np.testing.assert_allclose([row[name] for name in LABELS], expected, atol=1e-3)
        assert row["decisions"] == [
            name for name, value in zip(LABELS, expected, strict=True) if value > 0.5
        ]
        decided.update(row["decisions"])
    assert decided, "the untrained network decides nothing: this test would compare nothing"


def test_saved_model_runs_where_only_tensorflow_is(bundle, data_dir, tmp_path):
    image = data_dir / "val_0.jpg"
    program = f"""
import sys, json
import tensorflow as tf
loaded = tf.saved_model.load({str(bundle / "saved_model")!r})
data = open({str(image)!r}, "rb").read()
served = loaded.signatures["serve_bytes"](encoded_images=tf.constant([data, data]))
pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
images = tf.image.resize(pixels, ({SIZE}, {SIZE}), antialias=True)[None]
default = loaded.signatures["serving_default"](images=images)
maps = loaded.signatures["serve_heatmaps"](images=images)
assert not {{"vac_tf", "export"}} & set(sys.modules)
print(json.dumps([sorted(loaded.signatures), sorted(default), sorted(maps),
    served["probabilities"].numpy().tolist(), default["probabilities"].numpy().tolist(),
    maps["heatmaps"].shape.as_list()]))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    signatures, default, maps, served, probabilities, shape = json.loads(
        result.stdout.splitlines()[-1]
    )
    assert signatures == ["serve_bytes", "serve_heatmaps", "serving_default"]
    assert default == ["logits", "probabilities"]
    assert maps == ["heatmaps", "logits", "probabilities"]
    assert shape == [1, SIZE // 16, SIZE // 16, 3]
    np.testing.assert_allclose(served, probabilities * 2, atol=1e-6)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_rebuilt_in_float32(tmp_path, precision):
    mixed = tiny_network(dtype=precision)
    assert mixed.layers[2].compute_dtype != "float32"
    network = InferenceNetwork(mixed, Preprocessing(SIZE, SIZE))
    write_onnx(str(tmp_path / "model.onnx"), network, description(height=SIZE, width=SIZE), 18)
    images = np.stack([photo(SIZE, SIZE, seed) for seed in range(3)]).astype(np.float32)
    outputs = NetworkSession(str(tmp_path / "model.onnx")).run(images)
    expected = network.predict(tf.constant(images))
    for name in ("logits", "heatmaps"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-3, rtol=1e-4)
    model = onnx.load(tmp_path / "model.onnx")
    assert not any(node.op_type == "Cast" for node in model.graph.node)
    assert {tensor.data_type for tensor in model.graph.initializer} <= {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
        onnx.TensorProto.INT32,
    }


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(run, tmp_path):
    written = []
    for name in ("first", "second"):
        command = [sys.executable, str(REPOSITORY / "export_model.py"), f"--run_dir={run.path}"]
        command += [f"--bundle_dir={tmp_path / name}", "--precisions=fp32,fp16"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        written.append(checksums(str(tmp_path / name)))
    assert written[0] == written[1] and len(written[0]) > 6


def test_uint8_input_with_boxes_and_the_nearest_kernel(tmp_path):
    write_table(tmp_path / "data", images=4, boxes=True)
    run = write_run(tmp_path / "run", tmp_path / "data", resize_kernel="nearest")
    config = ExportConfig(run.path, str(tmp_path / "bundle"), input_dtype="uint8")
    report = export_run(config)
    assert report.parity["pixels"] == 0.0
    # The nearest kernel gives whole numbers: rounding changes nothing.
    assert report.parity["uint8_rounding"]["probabilities"] == 0.0
    session = NetworkSession(str(tmp_path / "bundle" / "model.onnx"))
    assert session.description.preprocessing.input_dtype == "uint8"
    assert session.run(np.zeros((2, SIZE, SIZE, 3), np.uint8))["logits"].shape == (2, 3)


def test_serve_bytes_is_left_out_when_images_are_turned(tmp_path, data_dir):
    run = write_run(tmp_path / "run", data_dir, apply_exif_orientation=True)
    report = export_run(ExportConfig(run.path, str(tmp_path / "bundle"), parity_images=2))
    assert report.signatures == ("serving_default", "serve_heatmaps")


def test_a_moved_dataset_is_found_by_data_dir(tmp_path, data_dir):
    run = write_run(tmp_path / "run", tmp_path / "gone")
    config = ExportConfig(run.path, str(tmp_path / "bundle"), parity_images=2)
    with pytest.raises(ValueError, match="gone"):
        export_run(config)
    report = export_run(dataclasses.replace(config, data_dir=str(data_dir)))
    assert report.parity["images"] == 2


def test_other_weights_are_found_and_leave_no_bundle(tmp_path, data_dir, monkeypatch):
    run = write_run(tmp_path / "run", data_dir)

    def write_other_network(path, network, *arguments):
        other = InferenceNetwork(tiny_network(seed=1), Preprocessing(SIZE, SIZE))
        write_onnx(path, other, *arguments)

    monkeypatch.setattr(exporter, "write_onnx", write_other_network)
    with pytest.raises(OutputValueError, match="onnx at batch 1: logits differ by up to") as caught:
        export_run(ExportConfig(run.path, str(tmp_path / "bundle"), parity_images=3))
    text = " ".join(map(str, caught.value.failures))
    assert "onnx_scorer at batch 3" in text and "serving_default" not in text
    assert os.listdir(tmp_path) == ["run"]


def test_an_older_bundle_is_replaced_whole_or_kept(tmp_path):
    target = tmp_path / "bundle"
    for content in ("first", "second"):
        with new_bundle(str(target)) as folder:
            for name in ("bundle.json", content):
                with open(os.path.join(folder, name), "w") as file:
                    file.write(content)
        assert sorted(os.listdir(target)) == sorted(["bundle.json", content])
    before = checksums(str(target))
    with pytest.raises(RuntimeError):
        with new_bundle(str(target)):
            raise RuntimeError("power cut")
    assert checksums(str(target)) == before
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path, run):
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(ValueError, match="is no bundle. Choose a new folder"):
        export_run(ExportConfig(run.path, str(tmp_path)))
    assert os.listdir(tmp_path) == ["photo.jpg"]


def test_bad_settings_are_named(tmp_path):
    with pytest.raises(ValueError, match="Missing: --run_dir, --bundle_dir"):
        ExportConfig()
    with pytest.raises(ValueError, match="opset must lie in 13..18, got 5"):
        ExportConfig("run", "bundle", opset=5)
    with pytest.raises(ValueError, match="no triton_repository is given"):
        ExportConfig("run", "bundle", remove_older_versions=True)
    with pytest.raises(ValueError, match="No config.json in .*train.py"):
        export_run(ExportConfig(str(tmp_path), str(tmp_path / "bundle")))
    assert os.listdir(tmp_path) == []
