"""Classifiers weighted by saliency: what they keep, what they weigh, and what they refuse."""

import dataclasses
import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.models.dual_stream_test import stream
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.evaluation.classification import evaluate
from vac_tf.evaluation.classification_table import format_table
from vac_tf.metrics.saliency_density import saliency_density
from vac_tf.models import build_dual_stream
from vac_tf.models.cam_head import CAMHead
from vac_tf.models.saliency import build_saliency_network
from vac_tf.models.saliency_weighting import SaliencyWeighting, weight_by_saliency
from vac_tf.models.saving import load_network, save_network
from vac_tf.runs.folder import RunFolder

LABELS = 3
GENERATOR = np.random.default_rng(0)
HEATMAPS = GENERATOR.normal(size=(2, 4, 5, LABELS)).astype("float32")
OUTPUTS = {"heatmaps": HEATMAPS, "logits": HEATMAPS.mean(axis=(1, 2)) + [1.0, -2.0, 0.5]}
BIAS = np.array([1.0, -2.0, 0.5])


def classifier(pooling="average", paired=False):
    features = stream(6, 8)
    head = CAMHead(LABELS, pooling, paired=paired, name="cam_head")
    return keras.Model(features.inputs[0], head(features.outputs[0]))


def saliency(stride=8):
    features = stream(4, stride)
    outputs = keras.layers.Conv2D(1, 1)(features.outputs[0])
    return keras.Model(features.inputs[0], {"saliency": outputs})


def weigh(saliency_logits, outputs=OUTPUTS):
    weighted = SaliencyWeighting()(outputs, tf.constant(saliency_logits, tf.float32))
    return {name: value.numpy() for name, value in weighted.items()}


@pytest.mark.parametrize("grid", [(4, 5), (2, 3), (7, 9)])
def test_a_constant_saliency_changes_nothing(grid):
    weighted = weigh(np.full((2, *grid, 1), 3.7))
    for name, value in OUTPUTS.items():
        np.testing.assert_allclose(weighted[name], value, rtol=1e-4, atol=1e-5)


def test_a_logit_is_the_mean_of_the_heatmap_under_the_density():
    """The density is that of the library, summed over the points of each cell."""
    logits = GENERATOR.normal(size=(2, 2, 3, 1)) * 3
    weighted = weigh(logits)
    for image in range(2):
        points = saliency_density(logits[image, ..., 0], 4 * 8, 5 * 8)
        density = points.reshape(4, 8, 5, 8).sum(axis=(1, 3))
        assert density.sum() == pytest.approx(1.0)
        expected = np.einsum("hw,hwl->l", density, HEATMAPS[image]) + BIAS
        np.testing.assert_allclose(weighted["logits"][image], expected, rtol=1e-4, atol=1e-4)
        maps = HEATMAPS[image] * density[..., None] * 20
        np.testing.assert_allclose(weighted["heatmaps"][image], maps, rtol=1e-3, atol=1e-4)
    means = weighted["heatmaps"].mean(axis=(1, 2)) + BIAS
    np.testing.assert_allclose(weighted["logits"], means, rtol=1e-4, atol=1e-4)


def test_all_eyes_on_one_cell_leave_only_that_cell():
    logits = np.zeros((2, 4, 5, 1))
    logits[:, 1, 3] = 200.0
    weighted = weigh(logits)
    expected = HEATMAPS[:, 1, 3] + BIAS
    np.testing.assert_allclose(weighted["logits"], expected, rtol=1e-3, atol=1e-3)
    assert np.isfinite(weighted["heatmaps"]).all()


@pytest.mark.parametrize("paired", [False, True])
def test_the_network_has_the_same_outputs_and_no_trainable_weight(tmp_path, paired):
    plain, eyes = classifier(paired=paired), saliency(16)
    network = weight_by_saliency(plain, eyes)
    assert network.trainable_weights == []
    for size in (32, 48):
        images = GENERATOR.uniform(0, 255, (2, size, size, 3)).astype("float32")
        found, expected = network(images), weigh(eyes(images)["saliency"], plain(images))
        assert set(found) == {"heatmaps", "logits"}
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4)
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    for name, value in load_network(path)(images).items():
        np.testing.assert_allclose(value, found[name], rtol=1e-4, atol=1e-4)


def test_other_poolings_and_heads_are_refused():
    with pytest.raises(ValueError, match="Only a classifier with average pooling .* 'max'"):
        weight_by_saliency(classifier("max"), saliency())
    joint = build_dual_stream(stream(), stream(), LABELS, "average")
    with pytest.raises(ValueError, match="This one has DualStreamHead"):
        weight_by_saliency(joint, saliency())


# ---- evaluate.py --saliency_run


@pytest.fixture
def saliency_run(tmp_path, tiny_backbone):
    """Folder of a saliency run with an untrained network."""
    config = SaliencyConfig(run_dir=str(tmp_path / "saliency"), backbone=tiny_backbone)
    folder = RunFolder(config.run_dir)
    folder.claim(dataclasses.replace(config, image_size=32))
    network = build_saliency_network(tiny_backbone)
    network.get_layer("saliency_head").kernel.assign(GENERATOR.normal(size=(1, 1, 8, 1)) * 9)
    save_network(network, folder.network_file)
    return folder


def test_evaluation_reports_the_weighted_classifier_beside_the_plain_one(
    finished_run, saliency_run, tmp_path
):
    run_dir = shutil.copytree(finished_run.run_dir, str(tmp_path / "run"))
    plain = evaluate(EvaluationConfig(run_dir=run_dir, inconsistency=False))
    both = evaluate(
        EvaluationConfig(run_dir=run_dir, saliency_run=saliency_run.path, inconsistency=False)
    )
    weighted = both.pop("saliency_weighted")
    assert both == plain and weighted["saliency_run"] == saliency_run.path
    assert weighted["label_based"]["mAP"] != plain["label_based"]["mAP"]
    with open(os.path.join(run_dir, "evaluation.json")) as stream_:
        written = json.load(stream_)
    assert written["saliency_weighted"] == weighted
    assert "by saliency" in format_table(written) and "by saliency" not in format_table(plain)


def test_a_saliency_run_that_does_not_fit_is_refused(finished_run, saliency_run, tmp_path):
    run_dir = shutil.copytree(finished_run.run_dir, str(tmp_path / "run"))
    with pytest.raises(ValueError, match=r"No config\.json in '/nowhere'"):
        evaluate(EvaluationConfig(run_dir=run_dir, saliency_run="/nowhere"))
    with pytest.raises(ValueError, match="unknown settings"):
        evaluate(EvaluationConfig(run_dir=run_dir, saliency_run=run_dir))
    config = saliency_run.read_json("config.json")
    saliency_run.write_json("config.json", config | {"image_size": TrainConfig.image_size})
    with pytest.raises(ValueError, match="has image_size 96, but 32 is needed"):
        evaluate(EvaluationConfig(run_dir=run_dir, saliency_run=saliency_run.path))
