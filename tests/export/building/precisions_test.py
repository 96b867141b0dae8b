"""From a run to a bundle with several precisions: what is written, and what is refused."""

import dataclasses
import hashlib
import json
import os

import keras
import numpy as np
import onnx
import pytest
from pyarrow import parquet

import export_model
from export.building import precisions
from export.building.config import ExportConfig
from export.building.conversion.onnx_graph import head_nodes
from export.building.exporter import export_run
from export.building.gate.parity import OutputValueError
from export.building.splits import read_export_splits
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.runtime.session import NetworkSession
from tests.export.building.tiny_run import LABELS, SIZE, spread_predictions, tiny_network, write_run
from tests.export.onnx_models import damage
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import read_split
from vac_tf.inputs.settings import image_settings
from vac_tf.models import build_classifier, build_dual_stream
from vac_tf.models.architectures.efficientnet_lite import efficientnet_lite
from vac_tf.models.classifier import without_head
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run import run as train

ALL = "fp32,fp16,int8"
# Weights are random and images few: the figures say nothing, they are only to be within reach.
LOOSE = "decisions:0.2,label_decisions:0.4,mAP:0.3,mA:0.3,F1:0.3,probability:0.5,heatmaps:0.9"
LOOSE += ",mean_probability:0.1"
ANYTHING = "decisions:1,label_decisions:1,mAP:1,mA:1,F1:1,probability:1,mean_probability:1"
ANYTHING += ",heatmaps:0"


def export(run, folder, **changes):
    values = {"precisions": ALL, "int8_budget": LOOSE, "parity_images": 4, **changes}
    return export_run(ExportConfig(run.path, str(folder), **values))


@pytest.fixture
def tiny_run(tmp_path, data_dir):
    """A run of one convolution: for tests that look at no layer."""
    return write_run(tmp_path / "tiny_run", data_dir)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, run):
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    report = export(run, folder)
    assert report.refused == {} and report.exit_code == 0, str(report)
    assert "model_int8.onnx: on 11 validation images" in str(report)
    return folder


def properties(path):
    model = onnx.load(path)
    return {entry.key: json.loads(entry.value) for entry in model.metadata_props}


def test_every_precision_describes_itself(bundle):
    content = json.loads((bundle / "bundle.json").read_text())
    files = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_int8.onnx"}
    assert set(content["precisions"]) == set(files)
    first = properties(bundle / "model.onnx")
    for precision, name in files.items():
        data = (bundle / name).read_bytes()
        assert content["sha256"][name] == hashlib.sha256(data).hexdigest()
        listed = content["precisions"][precision]
        assert listed["file"] == name and listed["bytes"] == len(data)
        own = properties(bundle / name)
        assert own["precision"] == precision and own["verdict"]["accepted"] is True
        assert own["verdict"].items() <= listed.items()
        assert own["verdict"]["processor"]["provider"] == "CPUExecutionProvider"
        assert listed["images"] == 11 and set(listed["decisions"]["per_label"]) == set(LABELS)
        for key in set(first) - {"precision", "verdict"}:
            assert own[key] == first[key], key
    assert listed["bytes"] < 0.5 * content["precisions"]["fp32"]["bytes"]


def test_transposes_of_the_head_are_removed(bundle):
    content = json.loads((bundle / "bundle.json").read_text())
    # One to the channels-first layout of convolutions, one from it for the heatmaps.
    assert content["parity"]["transposes_converted"] == 4
    for verdict in content["precisions"].values():
        assert verdict["transposes"] == 2


@pytest.mark.parametrize("name", ["model_fp16.onnx", "model_int8.onnx"])
def test_the_scorer_takes_any_of_them(bundle, data_dir, tmp_path, name):
    tables = []
    for model in ("model.onnx", name):
        output = str(tmp_path / f"{model}.parquet")
        score(ScoringConfig(str(bundle / model), str(data_dir / "val_*"), output=output))
        tables.append(parquet.read_table(output).to_pylist())
    for expected, actual in zip(*tables, strict=True):
        assert actual["image"] == expected["image"] and actual["status"] == "ok"
        for label in LABELS:
            assert actual[label] == pytest.approx(expected[label], abs=0.1)


def test_a_damaged_fp16_layer_is_refused_by_name(run, tmp_path, monkeypatch):
    convert = precisions.to_half_precision

    def convert_badly(model):
        half = convert(model)
        weights = {tensor.name: tensor.dims for tensor in half.graph.initializer}
        (name,) = [name for name in weights if "stage1_block1_conv1" in name]
        return damage(half, name, 1.0)

    monkeypatch.setattr(precisions, "to_half_precision", convert_badly)
    report = export(run, tmp_path / "bundle", precisions="fp32,fp16")
    assert report.exit_code == 1 and set(report.refused) == {"fp16"}
    reason = report.refused["fp16"]
    assert "label '" in reason and ", allowed " in reason
    assert "the first layer that diverges is " in reason and "stage1_block1_conv1" in reason
    assert f"fp16 is refused: {reason}" in str(report)
    assert "model_fp16.onnx" not in os.listdir(tmp_path / "bundle")
    content = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert content["precisions"]["fp16"]["accepted"] is False
    assert content["precisions"]["fp32"]["accepted"] is True
    assert "model_fp16.onnx" not in content["sha256"]


def test_the_program_says_what_a_budget_of_nothing_refuses(tiny_run, tmp_path, monkeypatch, capsys):
    budget = "probability:0,heatmaps:1"
    changes = {"precisions": "fp32,fp16", "fp16_budget": budget, "parity_images": 4}
    config = ExportConfig(tiny_run.path, str(tmp_path / "bundle"), **changes)
    monkeypatch.setattr(export_model.dataclass_flags, "from_flags", lambda config_class: config)
    assert export_model.main() == 1
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("fp16 is refused: ")]
    assert "largest difference of a probability (label '" in line
    assert "correlation of heatmaps of label '" in line


def test_a_refused_int8_names_the_training_that_may_help(run, tmp_path):
    budget = {"int8_budget": "probability:1e-9", "calibration_images": 4}
    report = export(run, tmp_path / "bundle", precisions="fp32,int8", **budget)
    assert report.exit_code == 1 and set(report.refused) == {"int8"}
    assert "train.py --init_run=RUN --quantization_aware" in str(report)


def test_float32_itself_is_judged(tiny_run, tmp_path, monkeypatch):
    judge = precisions.judge

    def judge_with_other_labels(path, gate_set, budget, original):
        other = {name: values + np.float32(0.1) for name, values in gate_set.reference.items()}
        return judge(path, dataclasses.replace(gate_set, reference=other), budget, original)

    monkeypatch.setattr(precisions, "judge", judge_with_other_labels)
    with pytest.raises(OutputValueError, match="fp32 is refused: largest difference"):
        export(tiny_run, tmp_path / "bundle", precisions="fp32")
    assert not (tmp_path / "bundle").exists()


def test_calibration_images_are_chosen_from_the_training_images_by_the_seed(
    tiny_run, tmp_path, monkeypatch
):
    used = []
    monkeypatch.setattr(precisions, "_batches", lambda split, _: used.append(split) or iter(()))
    monkeypatch.setattr(precisions, "quantize", lambda model, *_: model)
    export(tiny_run, tmp_path / "bundle", precisions="fp32,int8", calibration_images=5)
    paths = used[0].image_paths
    assert len(used) == 1 and len(set(paths)) == 5
    assert all(os.path.basename(path).startswith("train_") for path in paths)

    def chosen_by(seed):
        config = dataclasses.replace(tiny_run.read_config(), seed=seed)
        changes = {"precisions": "fp32,int8", "calibration_images": 5}
        exported = ExportConfig(tiny_run.path, str(tmp_path / "bundle"), **changes)
        splits = read_export_splits(config, image_settings(config), exported, LABELS)
        return splits.calibration.image_paths

    seed = tiny_run.read_config().seed
    assert chosen_by(seed) == paths != chosen_by(seed + 1)


def test_uint8_images_in_every_precision(tiny_run, tmp_path):
    export(tiny_run, tmp_path / "bundle", input_dtype="uint8")
    for name in ("model.onnx", "model_fp16.onnx", "model_int8.onnx"):
        session = NetworkSession(str(tmp_path / "bundle" / name))
        outputs = session.run(np.zeros((2, SIZE, SIZE, 3), np.uint8))
        assert outputs["logits"].shape == (2, 3)


def test_a_dual_stream_network_in_every_precision(data_dir, tmp_path):
    keras.utils.set_random_seed(0)
    streams = [without_head(tiny_network(seed)) for seed in range(2)]
    network = build_dual_stream(*streams, len(LABELS))
    head = network.get_layer("cam_head")
    head.kernel.assign(np.random.default_rng(0).normal(size=head.kernel.shape))
    report = export(write_run(tmp_path / "run", data_dir, network), tmp_path / "bundle")
    assert report.refused == {}
    names = {"heatmaps", "trunk_heatmaps", "branch_heatmaps"}
    for verdict in report.precisions.values():
        assert set(verdict["heatmaps"]) == names
    session = NetworkSession(str(tmp_path / "bundle" / "model_int8.onnx"))
    assert names < set(session.output_shapes)


@pytest.mark.slow
def test_residual_attention_in_every_precision(data_dir, tmp_path):
    """In float32, with the heatmaps computed once for both outputs."""
    keras.utils.set_random_seed(0)
    networks = [
        spread_predictions(build_classifier("small", len(LABELS), pooling=pooling))
        for pooling in ("average", "csra")
    ]
    counts = []
    for number, network in enumerate(networks):
        run = write_run(tmp_path / f"run{number}", data_dir, network)
        report = export(run, tmp_path / f"bundle{number}")
        assert report.refused == {}
        graph = onnx.load(tmp_path / f"bundle{number}" / "model.onnx").graph
        counts.append(sum(node.op_type == "Conv" for node in graph.node))
    assert counts[0] == counts[1]
    int8 = onnx.load(tmp_path / "bundle1" / "model_int8.onnx")
    exponentials = [node for node in int8.graph.node if node.op_type == "Exp"]
    assert len(exponentials) == 1
    assert exponentials[0].name in head_nodes(int8)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_run_in_mixed_precision_passes_the_gate(
    tiny_settings, tiny_backbone, tmp_path, precision
):
    settings = {**tiny_settings, "epochs": 1, "backbone": tiny_backbone, "precision": precision}
    config = TrainConfig(run_dir=str(tmp_path / "run"), **settings)
    train(config)
    report = export(RunFolder(config.run_dir), tmp_path / "bundle", precisions="fp32,fp16")
    assert report.refused == {}
    assert report.precisions["fp32"]["probabilities"]["largest"] < 1e-5


@pytest.mark.slow
def test_transposes_and_precisions_of_a_resnet50(data_dir, tmp_path):
    network = spread_predictions(build_classifier("resnet50", len(LABELS)))
    # At 32 pixels the only cell of the grid needs no transposing.
    run = write_run(tmp_path / "run", data_dir, network, image_size=64)
    report = export(run, tmp_path / "bundle", int8_budget=ANYTHING, fp16_budget=ANYTHING)
    assert report.refused == {}
    assert report.parity["transposes_converted"] == 4
    assert [verdict["transposes"] for verdict in report.precisions.values()] == [2, 2, 2]
    graph = onnx.load(tmp_path / "bundle" / "model_int8.onnx").graph
    assert sum(node.op_type == "QuantizeLinear" for node in graph.node) > 50


@pytest.mark.slow
def test_heatmaps_of_a_pretrained_efficientnet_lite_hold_in_int8(real_data, tmp_path):
    """On photographs, with ImageNet's weights and, as labels, some of its own classes."""
    data_dir = real_data("coco128")
    try:
        published = efficientnet_lite("efficientnet_lite0", weights="imagenet", include_top=True)
    except ValueError as error:
        pytest.skip(str(error))
    label_names = read_split("coco", data_dir, "val2017").label_names
    network = build_classifier("efficientnet_lite0", len(label_names), weights="imagenet")
    classifier, head = published.get_layer("classifier"), network.get_layer("cam_head")
    every_twelfth = classifier.kernel.numpy()[:, ::12][:, : len(label_names)]
    head.kernel.assign(every_twelfth)
    settings = {"dataset": "coco", "image_size": 128, "backbone": "efficientnet_lite0"}
    run = write_run(tmp_path / "run", data_dir, network, **settings)
    run.write_json("labels.json", {"label_names": label_names})
    report = export(run, tmp_path / "bundle", precisions="fp32,int8", int8_budget=ANYTHING)
    assert report.refused == {}
    assert report.precisions["fp32"]["probabilities"]["largest"] < 1e-4
    verdict = report.precisions["int8"]
    assert verdict["heatmaps"]["heatmaps"]["lowest"] >= 0.98
    assert verdict["bytes"] < 0.4 * report.precisions["fp32"]["bytes"]
