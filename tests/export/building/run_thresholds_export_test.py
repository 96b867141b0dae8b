"""Thresholds on their way: tuned on the validation part, reported on test, exported, scored."""

import dataclasses
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from pyarrow import parquet

from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.scoring.config import ScoringConfig
from export.scoring.describe import describe_model
from export.scoring.job import score
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets import Split
from vac_tf.datasets.run_splits import read_run_split, read_run_splits
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import read_decision_rule
from vac_tf.evaluation import classification as evaluation_module
from vac_tf.evaluation.classification import evaluate
from vac_tf.evaluation.classification_table import format_table
from vac_tf.evaluation.run_thresholds import check_tuning
from vac_tf.runs.folder import RunFolder


@pytest.fixture
def run_dir(finished_run, tmp_path):
    """A copy of a finished run, to write into."""
    return shutil.copytree(finished_run.run_dir, str(tmp_path / "run"))


def tuning(folder, **changes):
    values = {"inconsistency": False, "tune_thresholds": True, "threshold_folds": 3} | changes
    return EvaluationConfig(run_dir=str(folder), **values)


@pytest.fixture(scope="module")
def tuned_run(finished_run, tmp_path_factory):
    """A copy of a finished run with thresholds and calibration, and what tuning reported."""
    folder = shutil.copytree(finished_run.run_dir, str(tmp_path_factory.mktemp("tuned") / "run"))
    how = {"calibrate": "platt", "threshold_objective": "fbeta:2", "force_thresholds": True}
    return folder, evaluate(tuning(folder, **how))


@pytest.fixture(scope="module")
def exported(tuned_run, tmp_path_factory):
    """The folder of a bundle of that run, and the report of the export."""
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    config = ExportConfig(run_dir=tuned_run[0], bundle_dir=str(folder), parity_images=2)
    return folder, export_run(config)


@pytest.fixture(scope="module")
def bundle(exported):
    return exported[0]


def test_thresholds_are_tuned_on_the_part_that_selected_the_network(tuned_run, finished_run):
    folder, evaluation = tuned_run
    written = RunFolder(folder).read_json("thresholds.json")
    found = evaluation["tuned_thresholds"]
    assert written["tuning"] == found
    expected = {"objective": "fbeta:2", "split": "validation_part", "cross_fitted": True}
    expected |= {"is_test_split": False, "is_training_split": False, "folds": 3}
    expected |= {"unknown_labels": "ignore"}
    assert expected.items() <= found.items()
    assert found["images"] == len(read_run_splits(finished_run).validation)
    assert list(found["comparison"]) == ["fixed", "global", "tuned", "judged", "oracle"]
    assert set(written["labels"]) == set(read_run_split(finished_run, "test").label_names)
    for name in ("F2-C", "one for all labels, 3 folds", "platt"):
        assert name in format_table(evaluation)


def test_another_split_is_reported_at_the_tuned_thresholds(tuned_run):
    folder, _ = tuned_run
    evaluation = evaluate(EvaluationConfig(run_dir=folder, inconsistency=False))
    assert evaluation["conventions"]["split"] == "test"
    found = evaluation["tuned_thresholds"]
    assert not found["cross_fitted"] and not found["tuned_on_this_split"]
    assert list(found["comparison"]) == ["fixed", "tuned", "oracle"]
    assert set(found["calibration"]) == {"method", "binning", "before", "after"}
    for name, value in evaluation["label_based"].items():
        if name != "mAP":
            assert found["comparison"]["fixed"][name] == pytest.approx(value)
    assert "tuned, on validation_part" in format_table(evaluation)


def test_scores_decide_as_the_evaluation_does(tuned_run, bundle, finished_run, tmp_path):
    """The decisions of score.py on the test images have the metrics that evaluate.py reports."""
    folder, _ = tuned_run
    reported = evaluate(EvaluationConfig(run_dir=folder, inconsistency=False))
    split = read_run_split(finished_run, "test")
    (tmp_path / "list.txt").write_text("\n".join(split.image_paths))
    output = tmp_path / "scores.parquet"
    model = str(bundle / "model.onnx")
    score(ScoringConfig(model, str(tmp_path / "list.txt"), output=str(output), logits=True))
    rows = parquet.read_table(output).to_pylist()

    rule = read_decision_rule(RunFolder(folder), split.label_names)
    names = split.label_names
    probabilities = np.float32([[row[name] for name in names] for row in rows])
    logits = np.float32([[row[f"logit:{name}"] for name in names] for row in rows])
    np.testing.assert_allclose(probabilities, rule.calibration.probabilities(logits), atol=1e-6)
    assert np.abs(probabilities - Calibration.identity(len(names)).probabilities(logits)).max() > 0
    decided = np.array([[name in row["decisions"] for name in names] for row in rows])
    np.testing.assert_array_equal(decided, probabilities > rule.thresholds)
    assert 0 < decided.sum() < decided.size
    found = reported["tuned_thresholds"]["comparison"]["tuned"]
    positive = split.labels == 1
    assert found["R-O"] == pytest.approx((decided & positive).sum() / positive.sum())
    assert found["P-O"] == pytest.approx((decided & positive).sum() / decided.sum())


def test_every_file_of_the_bundle_tells_thresholds_and_calibration(tuned_run, bundle):
    folder, _ = tuned_run
    written = RunFolder(folder).read_json("thresholds.json")
    beside = json.loads((bundle / "saved_model/assets.extra/model.json").read_text())
    in_bundle = json.loads((bundle / "bundle.json").read_text())["model"]
    for told in (describe_model(str(bundle / "model.onnx")), beside, in_bundle):
        for index, name in enumerate(told["label_names"]):
            label = written["labels"][name]
            assert told["thresholds"][index] == label["threshold"]
            assert told["calibration"]["scales"][index] == label["scale"]
            assert told["calibration"]["offsets"][index] == label["offset"]
        assert told["calibration"]["method"] == "platt"
        assert told["tuning"] == written["tuning"]
    loaded = tf.saved_model.load(str(bundle / "saved_model"))
    outputs = loaded.signatures["serving_default"](images=tf.zeros((1, 32, 32, 3)))
    rule = read_decision_rule(RunFolder(folder), told["label_names"])
    expected = rule.calibration.probabilities(outputs["logits"].numpy())
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)


def test_tuning_on_test_is_marked(run_dir, caplog):
    with caplog.at_level(logging.WARNING):
        found = evaluate(tuning(run_dir, split="test"))["tuned_thresholds"]
    count = found["images"]
    assert found["is_test_split"] and f"tuned on {count} images of the test split" in caplog.text
    with caplog.at_level(logging.WARNING):
        found = evaluate(EvaluationConfig(run_dir=run_dir, inconsistency=False))["tuned_thresholds"]
    assert found["tuned_on_this_split"]
    assert f"tuned on {count} of these {count} images: their gain flatters" in caplog.text


def test_images_are_compared_and_not_names_of_splits(run_dir, caplog):
    """A quarter of train is held out: the rest is trained on, whatever the split is called."""
    folder = RunFolder(run_dir)
    config = dataclasses.replace(folder.read_config(), validation_fraction=0.25)
    folder.write_json("config.json", dataclasses.asdict(config))
    held_out = evaluate(tuning(run_dir))["tuned_thresholds"]
    assert not held_out["is_training_split"] and not held_out["is_test_split"]
    with caplog.at_level(logging.WARNING):
        found = evaluate(EvaluationConfig(run_dir=run_dir, split="train", inconsistency=False))
    assert found["tuned_thresholds"]["tuned_on_this_split"]
    assert "tuned on 12 of these 48 images" in caplog.text
    with caplog.at_level(logging.WARNING):
        assert evaluate(tuning(run_dir, split="train"))["tuned_thresholds"]["is_training_split"]
    assert "36 images that the network was trained on" in caplog.text


def test_names_of_splits_of_other_data_are_not_those_of_the_runs(run_dir, tmp_path, caplog):
    """`test` of other data is not what the thresholds were tuned on, nor the run's own test."""
    config = RunFolder(run_dir).read_config()
    drawn = read_run_split(config, "val")
    for number, image in enumerate(drawn.image_paths):
        (tmp_path / f"{number}.png").write_bytes(Path(image).read_bytes())
    rows = [[f"{number}.png", *map(int, row)] for number, row in enumerate(drawn.labels)]
    lines = [",".join(map(str, row)) for row in [["image", *drawn.label_names], *rows]]
    for name in ("test", "site"):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    other = {"dataset": "table", "data_dir": str(tmp_path)}
    with caplog.at_level(logging.WARNING):
        evaluate(tuning(run_dir, split="test"))
        caplog.clear()
        evaluation = evaluate(
            EvaluationConfig(run_dir=run_dir, inconsistency=False, split="test", **other)
        )
    assert not evaluation["tuned_thresholds"]["tuned_on_this_split"]
    assert "thresholds were tuned on" not in caplog.text
    for split in ("test", "site"):
        found = evaluate(tuning(run_dir, split=split, **other))["tuned_thresholds"]
        assert not found["is_test_split"] and not found["is_training_split"]


def test_the_papers_protocol_has_no_images_to_tune_on(run_dir, caplog):
    folder = RunFolder(run_dir)
    config = dataclasses.replace(folder.read_config(), paper_protocol=True)
    folder.write_json("config.json", dataclasses.asdict(config))
    with caplog.at_level(logging.WARNING):
        assert evaluate(tuning(run_dir))["tuned_thresholds"]["is_test_split"]
    assert "keeps no other images: train one without it" in caplog.text


def test_a_rule_is_measured_on_images_without_positives_too(run_dir, monkeypatch):
    evaluate(tuning(run_dir, calibrate="platt"))
    read = evaluation_module.read_named_split

    def without(value):
        def read_without_positives(config, name):
            split = read(config, name)
            return dataclasses.replace(split, labels=np.full_like(split.labels, value))

        return read_without_positives

    config = EvaluationConfig(run_dir=run_dir, inconsistency=False)
    for value in (0.0, np.nan):
        monkeypatch.setattr(evaluation_module, "read_named_split", without(value))
        evaluation = evaluate(config)
        assert set(evaluation["tuned_thresholds"]["comparison"]) == {"fixed", "tuned"}
        assert "platt" in format_table(evaluation)
    assert evaluation["tuned_thresholds"]["calibration"]["after"]["ECE-C"] is None


def knowing(scale, shift, seed=0):
    """Predictions of noise, moved by `shift` and by `scale` where an image has the label."""

    def predictions(network, batches, *rest):
        labels = np.concatenate([labels.numpy() for _, labels in batches])
        noise = np.random.default_rng(seed).normal(size=labels.shape)
        return np.float32(scale * labels + noise + shift), {}

    return predictions


def test_labels_keep_the_fixed_threshold_where_tuning_gains_nothing_sure(
    run_dir, monkeypatch, caplog
):
    monkeypatch.setattr(evaluation_module, "predict_and_compare", knowing(0, -2))
    found = evaluate(tuning(run_dir))["tuned_thresholds"]
    labels = RunFolder(run_dir).read_json("thresholds.json")["labels"]
    assert {label["threshold"] for label in labels.values()} == {0.5}
    assert not found["verdict"]["accepted"] and "Tuning is refused" in caplog.text

    monkeypatch.setattr(evaluation_module, "predict_and_compare", knowing(10, -12))
    evaluation = evaluate(tuning(run_dir, split="train"))
    found = evaluation["tuned_thresholds"]
    labels = RunFolder(run_dir).read_json("thresholds.json")["labels"]
    kept = {name for name, label in labels.items() if label["threshold"] == 0.5}
    assert found["verdict"]["accepted"] and 0 < len(kept) < len(labels)
    assert kept == set(found["verdict"]["labels_kept"])
    assert all(name in format_table(evaluation) for name in kept)
    for name, label in found["labels"].items():
        assert label["is_tuned"] == (name not in kept) == (label["kept_because"] is None)


def test_a_kept_label_decides_as_it_did_before_it_was_calibrated(run_dir, monkeypatch):
    monkeypatch.setattr(evaluation_module, "predict_and_compare", knowing(0, -1))
    evaluate(tuning(run_dir, calibrate="platt"))
    rule = read_decision_rule(RunFolder(run_dir), read_labels(run_dir))
    logits = np.linspace(-3, 3, 50, dtype=np.float32)[:, None] * np.ones(len(rule.thresholds))
    decided = rule.calibration.probabilities(logits) > rule.thresholds
    np.testing.assert_array_equal(decided, logits > 0)


def test_a_split_on_which_tuned_thresholds_lose_is_named(run_dir, monkeypatch, caplog):
    monkeypatch.setattr(evaluation_module, "predict_and_compare", knowing(0, -2))
    evaluate(tuning(run_dir, force_thresholds=True))
    assert "is tuned all the same (--force_thresholds)" in caplog.text
    monkeypatch.setattr(evaluation_module, "predict_and_compare", knowing(4, -2))
    evaluate(EvaluationConfig(run_dir=run_dir, inconsistency=False))
    assert "On split 'test' the tuned thresholds lower F1-C from" in caplog.text


def read_labels(run_dir):
    return RunFolder(run_dir).read_json("labels.json")["label_names"]


def test_an_export_says_what_each_threshold_does(tuned_run, exported):
    lines = str(exported[1]).splitlines()
    written = RunFolder(tuned_run[0]).read_json("thresholds.json")
    for name, label in written["labels"].items():
        (line,) = (line for line in lines if line.strip().startswith(f"{name} "))
        assert f"{label['threshold']:.4f}" in line and " % of the images" in line


def test_positives_in_one_fold_are_nothing_to_tune_on():
    labels = np.zeros((20, 2), np.float32)
    labels[7] = 1
    paths = tuple(f"{number}.jpg" for number in range(20))
    split = Split(paths, labels, ("cat", "dog"), name="val")
    config = EvaluationConfig(run_dir="run", tune_thresholds=True, split="val")
    with pytest.raises(ValueError, match="All positives of split 'val' lie in one of --thr"):
        check_tuning(config, TrainConfig(), split)


def test_a_split_under_two_names_is_recognised(run_dir):
    """The val split selected the network, so it is the validation part."""
    evaluate(tuning(run_dir, split="val"))
    config = EvaluationConfig(run_dir=run_dir, split="validation_part", inconsistency=False)
    assert evaluate(config)["tuned_thresholds"]["tuned_on_this_split"]


def test_calibration_alone_keeps_the_threshold(run_dir):
    found = evaluate(tuning(run_dir, tune_thresholds=False, calibrate="temperature"))
    assert found["tuned_thresholds"]["objective"] is None
    labels = RunFolder(run_dir).read_json("thresholds.json")["labels"]
    assert {label["threshold"] for label in labels.values()} == {0.5}
    assert {label["offset"] for label in labels.values()} == {0.0}
    evaluation = evaluate(EvaluationConfig(run_dir=run_dir, inconsistency=False))
    assert "oracle" not in evaluation["tuned_thresholds"]["comparison"]
    assert "temperature" in format_table(evaluation)


def test_the_held_out_images_do_not_depend_on_how_many_are_used(finished_run, tmp_path):
    config = dataclasses.replace(finished_run, validation_fraction=0.25)
    held_out = read_run_splits(config).validation
    run = shutil.copytree(finished_run.run_dir, tmp_path / "run")
    folder = RunFolder(str(run))
    folder.write_json("config.json", dataclasses.asdict(config))
    found = evaluate(tuning(run))["tuned_thresholds"]
    assert found["images"] == len(held_out) == 12
    assert evaluate(tuning(run, max_images=9))["tuned_thresholds"]["images"] == 9


def test_thresholds_of_another_network_are_neither_reported_nor_exported(run_dir, tmp_path):
    evaluate(tuning(run_dir))
    with open(RunFolder(run_dir).network_file, "ab") as stream:
        stream.write(b" ")
    with pytest.raises(ValueError, match="was tuned for another network"):
        evaluate(EvaluationConfig(run_dir=run_dir, inconsistency=False))
    with pytest.raises(ValueError, match="was tuned for another network"):
        export_run(ExportConfig(run_dir=run_dir, bundle_dir=str(tmp_path / "bundle")))
    assert not (tmp_path / "bundle").exists()


def test_bad_settings_are_named(run_dir):
    for changes, message in (
        ({"threshold_folds": 1}, "threshold_folds must be at least 2, got 1"),
        ({"threshold_shrinkage": -1.0}, "threshold_shrinkage must not be negative"),
        ({"calibrate": "isotonic"}, "Unknown calibrate 'isotonic'"),
    ):
        with pytest.raises(ValueError, match=message):
            tuning(run_dir, **changes)
    with pytest.raises(ValueError, match="Unknown threshold_objective 'recall'"):
        evaluate(tuning(run_dir, threshold_objective="recall"))
    with pytest.raises(ValueError, match="100 folds of 8 images"):
        evaluate(tuning(run_dir, threshold_folds=100))
