"""A bundle whose networks average views: proved equal, and scored as any other."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
import scipy.special
import tensorflow as tf

import vac_tf
from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.building.network_export import export_network
from export.building.serving_network import InferenceNetwork
from export.scoring import load
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from tests.export.building.tiny_run import LABELS, SIZE, tiny_network, write_run
from tests.export.onnx_models import random_images
from vac_tf.evaluation.test_time_views import parse_views
from vac_tf.metrics import evaluate_multilabel

TTA = "hflip,scale:64"


@pytest.fixture(scope="module")
def exported(tmp_path_factory, data_dir):
    """The report of an export of a tiny run, its folder and its network."""
    folder = tmp_path_factory.mktemp("views")
    network = tiny_network(seed=2)
    run = write_run(folder / "run", data_dir, network)
    config = ExportConfig(
        run_dir=run.path,
        bundle_dir=str(folder / "bundle"),
        triton_repository=str(folder / "triton"),
        tta=TTA,
    )
    return export_run(config), folder, network


@pytest.fixture(scope="module")
def model(exported):
    return load(exported[1] / "bundle", providers="cpu")


def test_every_file_says_its_views(exported, model):
    report, folder, _ = exported
    bundle = folder / "bundle"
    assert model.session.description.tta == tuple(TTA.split(","))
    described = json.loads((bundle / "bundle.json").read_text())
    assert described["model"]["tta"] == TTA.split(",") and described["format_version"] == 1
    assert "itself and hflip, scale:64" in (bundle / "MODEL_CARD.md").read_text()
    config = (folder / "triton" / "bundle" / "config.pbtxt").read_text()
    assert 'output [ { name: "stability" data_type: TYPE_FP32 dims: [3] } ]' in config
    for at in report.parity["outputs"]["onnx"].values():
        assert at["stability"] < 1e-4


def test_the_report_says_what_views_cost_and_gain(exported, data_dir):
    report, folder, _ = exported
    measured = json.loads((folder / "bundle" / "bundle.json").read_text())["parity"]["views"]
    assert measured["images"] == 11 and measured["batch"] == 8
    cost = measured["milliseconds_per_image"]
    assert 0.0 < cost["one"] < cost["all"]
    said = str(report)
    assert f"An image with hflip, scale:64 takes {cost['all']:.3g} ms" in said
    # The same by hand: of the run's own images, by the run and by the bundle.
    labels = np.eye(3)[np.arange(11) % 3]
    files = [str(path) for number in range(11) for path in data_dir.glob(f"val_{number}.*")]
    for name, one in (("one", vac_tf.load(folder / "run")), ("all", load(folder / "bundle"))):
        logits = np.array([list(result.logits.values()) for result in one(files)])
        found = evaluate_multilabel(labels, scipy.special.expit(logits), LABELS)
        for metric in ("mAP", "mA"):
            assert measured[metric][name] == pytest.approx(found["label_based"][metric], abs=1e-4)
            assert f"{measured[metric][name]:.4f}" in said


def test_signatures_of_the_saved_model_have_the_stability(exported):
    report, folder, network = exported
    served = tf.saved_model.load(str(folder / "bundle" / "saved_model")).signatures
    images = tf.constant(random_images(3, SIZE))
    inference = InferenceNetwork(
        network, load(folder / "bundle").preprocessing, views=parse_views(TTA)
    )
    expected = inference.predict(images)
    for name, outputs in (
        ("serving_default", {"logits", "probabilities", "stability"}),
        ("serve_heatmaps", {"logits", "probabilities", "stability", "heatmaps"}),
    ):
        found = served[name](images=images)
        assert set(found) == outputs
        for output in outputs:
            np.testing.assert_allclose(found[output], expected[output], atol=1e-4)
    found = served["serve_bytes"]
    assert set(found.structured_outputs) == {"logits", "probabilities", "stability"}
    assert report.signatures == ("serving_default", "serve_heatmaps", "serve_bytes")


def test_the_scorer_and_python_give_what_the_network_gives(model, data_dir, tmp_path):
    output = tmp_path / "rows.jsonl"
    settings = {"images": str(data_dir), "output": str(output), "providers": "cpu"}
    score(ScoringConfig(model=model.name, **settings))
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 22
    lowest = 1.0
    for row, result in zip(rows, model([row["image"] for row in rows]), strict=True):
        for label in LABELS:
            assert row[label] == pytest.approx(result.probabilities[label], abs=1e-5)
            assert row[f"stability:{label}"] == pytest.approx(result.stability[label], abs=1e-5)
            lowest = min(lowest, result.stability[label])
    assert 0.0 <= lowest < 0.95
    with pytest.raises(KeyError, match="Unknown label 'cow'"):
        result.stability["cow"]


@pytest.mark.slow
def test_images_without_labels_have_no_gain_to_say(tmp_path):
    report = export_network(
        tiny_network(), tmp_path / "own", labels=LABELS, image_size=SIZE, tta="hflip"
    )
    assert report.parity["views"]["mAP"] == {"one": None, "all": None}
    assert "mAP is" not in str(report) and "of the decisions differ" in str(report)


def test_a_model_of_one_view_has_no_stability_to_give(bundle, data_dir):
    result = load(bundle, providers="cpu")(data_dir / "val_0.jpg")
    with pytest.raises(ValueError, match="no stability.*export_model.py --tta=hflip"):
        print(result.stability)


def test_views_are_refused_before_the_run_is_read(tmp_path):
    config = ExportConfig(run_dir="nowhere", bundle_dir=str(tmp_path / "bundle"), tta="splice:2")
    with pytest.raises(ValueError, match="tta 'splice:2': Heatmaps of splice:2 cannot"):
        export_run(config)
    assert not list(tmp_path.iterdir())


def test_a_size_that_the_network_does_not_take_leaves_no_bundle(exported, tmp_path):
    config = ExportConfig(
        run_dir=str(exported[1] / "run"), bundle_dir=str(tmp_path / "bundle"), tta="scale:8"
    )
    with pytest.raises(ValueError, match="scale:8 is smaller than a cell"):
        export_run(config)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_precision_averages_and_holds_the_weights_once(run, tmp_path):
    loose = "decisions:1,label_decisions:1,probability:1,mean_probability:1,mAP:1,mA:1,F1:1"
    settings = {
        "run_dir": run.path,
        "precisions": "fp32,fp16,int8",
        "fp16_budget": f"{loose},heatmaps:0",
        "int8_budget": f"{loose},heatmaps:0",
    }
    for name, tta in (("plain", ""), ("views", TTA)):
        export_run(ExportConfig(bundle_dir=str(tmp_path / name), tta=tta, **settings))
    images = random_images(6, SIZE)
    exact = load(tmp_path / "views").predict(images)
    for file, tolerance in (("model.onnx", 0), ("model_fp16.onnx", 0.01), ("model_int8.onnx", 0.2)):
        found = load(tmp_path / "views" / file).predict(images)
        for name in ("probabilities", "stability"):
            assert np.abs(found[name] - exact[name]).max() <= tolerance
        sizes = [(tmp_path / name / file).stat().st_size for name in ("plain", "views")]
        assert sizes[1] < 1.2 * sizes[0]
    quantized = onnx.load(tmp_path / "views" / "model_int8.onnx")
    kinds = [node.op_type for node in quantized.graph.node]
    assert kinds.count("Conv") == 2 * 17 and kinds.count("QuantizeLinear") > 17


@pytest.mark.slow
def test_labels_of_a_group_are_stable_by_their_softmax(data_dir, tmp_path):
    """Of two labels of which exactly one holds, both have the same stability."""
    run = write_run(tmp_path / "run", data_dir, tiny_network(seed=1))
    labels = run.read_json("labels.json")
    group = {"name": "pet", "labels": ["cat", "dog"], "at_most_one": False}
    run.write_json("labels.json", labels | {"label_groups": [group]})
    config = ExportConfig(run_dir=run.path, bundle_dir=str(tmp_path / "bundle"), tta="hflip")
    export_run(dataclasses.replace(config, parity_images=4))
    found = load(tmp_path / "bundle").predict(random_images(8, SIZE))
    stability = found["stability"]
    np.testing.assert_allclose(stability[:, 0], stability[:, 1], atol=1e-5)
    assert np.abs(stability[:, 2] - stability[:, 0]).max() > 0.01
    np.testing.assert_allclose(found["probabilities"][:, :2].sum(axis=1), 1.0, atol=1e-5)
