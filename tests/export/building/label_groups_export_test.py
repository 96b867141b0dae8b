"""The export of labels that exclude each other: one softmax in the graph, proved equal."""

import json

import numpy as np
import onnx
import pytest
import scipy.special
import tensorflow as tf

import vac_tf
from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.building.gate.drift import measure_drift
from export.building.gate.parity import Candidate, DecisionError, check_candidates
from export.bundle.label_groups import LabelGroup
from export.scoring import load
from tests.export.building.tiny_run import LABELS, tiny_network, write_run

GROUPS = {
    "exactly_one": {"name": "pet", "labels": ["cat", "dog"], "at_most_one": False},
    "at_most_one": {"name": "pet", "labels": ["dog", "bird"], "at_most_one": True},
}


def grouped_run(folder, data_dir, kind):
    run = write_run(folder, data_dir, tiny_network(seed=1))
    labels = run.read_json("labels.json")
    run.write_json("labels.json", labels | {"label_groups": [GROUPS[kind]]})
    return run


@pytest.mark.parametrize("kind", GROUPS)
def test_a_bundle_gives_what_the_run_gives(tmp_path, data_dir, kind):
    run = grouped_run(tmp_path / "run", data_dir, kind)
    rule = {
        "calibration": "platt",
        "labels": {
            name: {"threshold": 0.4, "scale": scale, "offset": 0.1 * scale}
            for name, scale in zip(LABELS, (1.5, 1.5, 0.5), strict=True)
        },
        "tuning": {"objective": None},
    }
    from vac_tf.decisions.decision_rule import _hash

    run.write_json("thresholds.json", rule | {"network_sha256": _hash(run.network_file)})
    folder = tmp_path / "bundle"
    report = export_run(
        ExportConfig(run_dir=run.path, bundle_dir=str(folder), precisions="fp32,fp16")
    )
    assert "Of label group pet the most probable of 2 labels is decided" in str(report)
    assert json.loads((folder / "bundle.json").read_text())["format_version"] == 2
    card = (folder / "MODEL_CARD.md").read_text()
    rule = "whatever it is, " if kind == "exactly_one" else "0.4, "
    assert card.count(f"{rule}most probable of pet") == 2
    graph = onnx.load(folder / "model.onnx")
    assert [node.op_type for node in graph.graph.node].count("Softmax") == 1

    ours, theirs = vac_tf.load(run.path), load(folder)
    images = np.random.default_rng(0).uniform(0, 255, (20, 32, 32, 3)).astype(np.float32)
    expected, found = ours.predict(images), theirs.predict(images)
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)
    group = [LABELS.index(name) for name in GROUPS[kind]["labels"]]
    sums = found["probabilities"][:, group].sum(axis=1)
    if kind == "exactly_one":
        np.testing.assert_allclose(sums, 1.0, atol=1e-5)
    else:
        assert (sums < 1).all() and sums.min() < 0.95
    half = load(folder / "model_fp16.onnx").predict(images)["probabilities"]
    np.testing.assert_allclose(half, expected["probabilities"], atol=0.02)

    served = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    values = served(images=tf.constant(images))["probabilities"]
    np.testing.assert_allclose(values, expected["probabilities"], atol=1e-5)
    files = sorted(data_dir.glob("val_*"))
    for own, other in zip(ours(files), theirs(files), strict=True):
        assert own.labels == other.labels
        decided = set(own.labels) & set(GROUPS[kind]["labels"])
        assert len(decided) == 1 or (kind == "at_most_one" and not decided)


def test_without_groups_the_graph_and_the_description_are_as_before(bundle):
    graph = onnx.load(bundle / "model.onnx")
    assert "Softmax" not in {node.op_type for node in graph.graph.node}
    properties = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads((bundle / "bundle.json").read_text())["format_version"] == 1
    assert properties["format_version"] == "1" and "label_groups" not in properties
    assert "label_groups" not in json.dumps(list(properties))


def parity(expected, found, group):
    probabilities = {"probabilities": np.array(expected, np.float32)}
    candidate = Candidate(
        "file", lambda inputs: {"probabilities": inputs}, np.array(found, np.float32), probabilities
    )
    thresholds = np.full(2, 0.5, np.float32)
    return check_candidates([candidate], ("a", "b"), thresholds, 1e-3, (1,), (group,))


def test_the_gate_compares_decisions_within_groups():
    group = LabelGroup("pet", (0, 1))
    # Both below the threshold, but the other one is the most probable.
    failures, _ = parity([[0.30, 0.40]], [[0.40, 0.30]], group)
    assert any(isinstance(failure, DecisionError) for failure in failures)
    # Nearly equal probabilities may come in any order.
    failures, report = parity([[0.4002, 0.4001]], [[0.4001, 0.4002]], group)
    assert not failures and report["file"]["batch_1"]["decisions_changed"] == 2
    # What crosses the threshold changes nothing, where it stays the most probable.
    failures, report = parity([[0.5002, 0.2]], [[0.4998, 0.2]], group)
    assert not failures and report["file"]["batch_1"]["decisions_changed"] == 0


def test_drift_counts_decisions_and_metrics_within_groups():
    logits = np.array([[1.0, 0.9], [2.0, 0.0], [0.0, 1.0]], np.float32)
    other = logits[:, ::-1].copy()
    outputs = [
        {"logits": each, "probabilities": scipy.special.softmax(each, axis=1)}
        for each in (logits, other)
    ]
    labels = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    settings = (labels, ("a", "b"), np.full(2, 0.99, np.float32), "ignore")
    group = (LabelGroup("pet", (0, 1)),)
    figures = measure_drift(*outputs, *settings, label_groups=group)
    assert figures["decisions"]["changed"] == 1.0
    assert figures["metrics"]["mA"] == {"keras": 1.0, "exported": 0.0, "change": -1.0, "loss": 1.0}
    alone = measure_drift(*outputs, *settings)
    assert alone["decisions"]["changed"] == 0.0  # None is above 0.99.
