"""Evaluation of labels that exclude each other: metrics, thresholds, the page, the loaded run."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import vac_tf
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.label_groups.reading import read_label_groups
from vac_tf.evaluation.classification import evaluate_run
from vac_tf.evaluation.classification_table import format_table
from vac_tf.metrics.label_groups.decisions import decide
from vac_tf.report.page import write_report
from vac_tf.runs.folder import RunFolder

COLOUR, SHAPE = (1, 2, 3), (0, 4)


@pytest.fixture
def run_dir(grouped_run, tmp_path):
    """A copy of the run, which may be changed."""
    return shutil.copytree(grouped_run.run_dir, tmp_path / "run")


def test_an_evaluation_reports_groups_and_decides_within_them(run_dir, grouped_run):
    config = EvaluationConfig(
        run_dir=str(run_dir), split="test", inconsistency=False, robustness=True, save_scores=True
    )
    evaluated = evaluate_run(config)
    assert (evaluated.decided[:, COLOUR].sum(axis=1) == 1).all()
    assert (evaluated.decided[:, SHAPE].sum(axis=1) <= 1).all()
    np.testing.assert_allclose(evaluated.probabilities[:, COLOUR].sum(axis=1), 1.0, atol=1e-5)
    measured = evaluated.results["label_groups"]
    assert measured["contradictory_decisions"] == 0.0
    colour, shape = measured["groups"]
    assert colour["left_out"] == {"unknown": 0, "contradictory": 1} and colour["images"] == 11
    assert set(shape["recall"]) == {"shape?:bar", "shape?:dot", "none"}
    # A mean colour is learnt in three epochs; by chance it is a third.
    assert colour["top1"] > 0.8
    assert "label groups" in format_table(evaluated.results)
    page = open(write_report(evaluated), encoding="utf-8").read()
    assert "Labels that exclude each other" in page and ">colour<" in page

    # The library says the same of an image, from the run's folder alone.
    model = vac_tf.load(run_dir)
    for row, result in enumerate(model(list(evaluated.source.split.image_paths))):
        decided = np.flatnonzero(evaluated.decided[row])
        assert set(result.labels) == {model.label_names[label] for label in decided}
    again = vac_tf.evaluate(model, evaluated.source.split, inconsistency=False)
    assert again["label_groups"] == measured


@pytest.mark.parametrize("calibrate", ["none", "temperature", "platt"])
def test_tuned_rules_keep_to_the_groups(run_dir, calibrate):
    config = EvaluationConfig(
        run_dir=str(run_dir),
        split="train",
        inconsistency=False,
        report=False,
        tune_thresholds=True,
        force_thresholds=True,
        threshold_folds=2,
        calibrate=calibrate,
    )
    tuned = evaluate_run(config)
    assert tuned.results["tuned_thresholds"]["comparison"]["tuned"]["mA"] > 0.5
    model = vac_tf.load(run_dir)
    assert [group.columns for group in model.label_groups] == [COLOUR, SHAPE]
    outputs = model.predict(np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)))
    probabilities = outputs["probabilities"]
    np.testing.assert_allclose(probabilities[:, COLOUR].sum(axis=1), 1.0, atol=1e-5)
    assert (probabilities[:, SHAPE].sum(axis=1) < 1.0).all()
    decided = decide(probabilities, model.rule.thresholds, model.label_groups)
    assert (decided[:, COLOUR].sum(axis=1) == 1).all()
    content = json.loads((run_dir / "thresholds.json").read_text())
    assert "softmax" in content["probability"]


def test_a_run_without_groups_is_measured_by_those_that_are_given(run_dir, grouped_run):
    folder = RunFolder(str(run_dir))
    labels = folder.read_json("labels.json")
    labels.pop("label_groups")
    folder.write_json("labels.json", labels)
    settings = {"split": "test", "inconsistency": False, "report": False}
    # So low that sigmoids, which know nothing of each other, decide several.
    config = EvaluationConfig(run_dir=str(run_dir), threshold=0.01, **settings)
    plain = evaluate_run(config)
    assert "label_groups" not in plain.results
    given = dataclasses.replace(config, label_groups=grouped_run.label_groups)
    measured = evaluate_run(given)
    groups = read_label_groups(grouped_run.label_groups, measured.source.split.label_names)
    contradictory = np.any([group.contradictory(measured.decided) for group in groups], axis=0)
    assert measured.results["label_groups"]["contradictory_decisions"] == contradictory.mean()
    assert contradictory.any()
    np.testing.assert_array_equal(measured.decided, plain.decided)
    assert measured.results["label_based"] == plain.results["label_based"]
    with pytest.raises(ValueError, match="No such file"):
        evaluate_run(dataclasses.replace(config, label_groups="gone.toml"))
