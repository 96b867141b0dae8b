"""A dual-stream run as a bundle: both streams' heatmaps by name, equal to the Keras network."""

import csv
import dataclasses
import json

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

import vac_tf
from export import scoring
from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.building.provenance import without_paths
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.runtime.session import NetworkSession
from tests.vac_tf.models.dual_stream_test import stream
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.run_splits import read_run_split
from vac_tf.models import build_dual_stream
from vac_tf.models.dual_stream import with_stream_heatmaps
from vac_tf.models.saving import load_network, save_network
from vac_tf.runs.folder import RunFolder

SIZE = 32


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a network with streams of two grids, trained in bfloat16; 100 validation images."""
    config = TrainConfig(
        run_dir=str(tmp_path_factory.mktemp("runs") / "dual"),
        model="dual_stream",
        data_dir=str(tmp_path_factory.mktemp("scenes")),
        scenes_train_images=600,
        scenes_image_size=SIZE,
        image_size=SIZE,
        precision="mixed_bfloat16",
    )
    split = read_run_split(config, "val")
    assert len(split) == 100
    keras.utils.set_random_seed(0)
    network = build_dual_stream(
        stream(5, 8), stream(7, 16), len(split.label_names), precision=config.precision
    )
    generator = np.random.default_rng(0)
    head = network.get_layer("cam_head")
    head.kernel.assign(generator.normal(size=head.kernel.shape) * 3)
    network(tf.constant(generator.uniform(0, 255, (8, SIZE, SIZE, 3)), "float32"), training=True)
    folder = RunFolder(config.run_dir)
    folder.claim(config)
    folder.write_json("labels.json", {"label_names": list(split.label_names)})
    save_network(network, folder.network_file)
    return config, split


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    config = ExportConfig(run_dir=run[0].run_dir, bundle_dir=str(folder), parity_images=100)
    return folder, export_run(config)


def keras_outputs(config, images):
    network = load_network(RunFolder(config.run_dir).network_file)
    return {name: value.numpy() for name, value in with_stream_heatmaps(network)(images).items()}


def test_onnx_equals_keras_on_100_images_with_equal_decisions(bundle):
    _, report = bundle
    assert report.parity["images"] == 100
    outputs = report.parity["outputs"]
    assert {"onnx", "serving_default", "serve_heatmaps", "serve_bytes"} <= set(outputs)
    for at in outputs["onnx"].values():
        names = {"heatmaps", "trunk_heatmaps", "branch_heatmaps", "logits", "probabilities"}
        assert names <= set(at)
        assert at["decisions"] == 1200 and at["decisions_changed"] == 0
        assert max(at[name] for name in names) < 1e-4


def test_the_file_has_the_heatmaps_of_both_streams_by_name(run, bundle):
    config, _ = run
    images = np.random.default_rng(1).uniform(0, 255, (3, SIZE, SIZE, 3)).astype("float32")
    session = NetworkSession(str(bundle[0] / "model.onnx"))
    assert session.output_shapes == {
        "logits": ["batch", 12],
        "probabilities": ["batch", 12],
        "heatmaps": ["batch", 4, 4, 12],
        "trunk_heatmaps": ["batch", 4, 4, 12],
        "branch_heatmaps": ["batch", 2, 2, 12],
    }
    found = session.run(images)
    for name, expected in keras_outputs(config, images).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-3)
    served = tf.saved_model.load(str(bundle[0] / "saved_model")).signatures
    found = served["serve_heatmaps"](images=tf.constant(images))
    for name, expected in keras_outputs(config, images).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-3)
    assert set(served["serving_default"].structured_outputs) == {"logits", "probabilities"}


def test_the_run_and_the_bundle_are_called_with_images(run, bundle):
    config, split = run
    results = vac_tf.load(config.run_dir)(split.image_paths[:9], batch_size=4)
    exported = scoring.load(bundle[0], providers="cpu")(split.image_paths[:9], batch_size=5)
    for expected, found in zip(results, exported, strict=True):
        assert found.labels == expected.labels
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=1e-3)
    measured = vac_tf.evaluate(config.run_dir, split.select(range(20)))
    # Whole cells of the coarser stream.
    assert measured["conventions"]["inconsistency"]["translate"] == "translate:16:0"


def test_every_heatmap_is_one_convolution(bundle):
    nodes = onnx.load(bundle[0] / "model.onnx").graph.node
    kinds = [node.op_type for node in nodes]
    # One per stream and one per stream's heatmaps.
    assert kinds.count("Conv") == 4 and kinds.count("Resize") == 1


def test_the_description_says_which_streams(run, bundle):
    description = NetworkSession(str(bundle[0] / "model.onnx")).description
    published = without_paths(dataclasses.asdict(run[0]))
    assert published["fusion_init"] == run[0].fusion_init
    assert description.training_config == published


def test_the_scorer_takes_it_as_it_is(run, bundle, tmp_path):
    config, split = run
    folder, _ = bundle
    images = tmp_path / "images.txt"
    images.write_text("\n".join(split.image_paths[:7]))
    output = tmp_path / "scores.csv"
    scoring = ScoringConfig(
        model=str(folder / "model.onnx"),
        images=str(images),
        output=str(output),
        providers="cpu",
        heatmaps="peaks",
        logits=True,
    )
    score(scoring)
    rows = list(csv.DictReader(output.open()))
    assert [row["status"] for row in rows] == ["ok"] * 7
    pixels = [tf.io.decode_image(tf.io.read_file(path)) for path in split.image_paths[:7]]
    logits = keras_outputs(config, tf.cast(tf.stack(pixels), tf.float32))["logits"]
    found = [[float(row[f"logit:{name}"]) for name in split.label_names] for row in rows]
    np.testing.assert_allclose(found, logits, rtol=1e-3, atol=1e-3)
    peaks = [json.loads(row["peaks"]) for row in rows]
    decided = (np.array(found) > 0).sum(axis=1)
    assert [len(each) for each in peaks] == list(decided) and sum(decided) > 0
