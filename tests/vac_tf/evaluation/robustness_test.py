"""Robustness of scores and decisions: on networks whose answer is known, and through evaluate."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets.run_splits import read_run_split
from vac_tf.evaluation.classification import evaluate
from vac_tf.evaluation.classification_table import format_table
from vac_tf.evaluation.distortions import DISTORTIONS
from vac_tf.evaluation.robustness import distorted_logits, robustness
from vac_tf.evaluation.saved_scores import images_digest, read_scores
from vac_tf.runs.folder import RunFolder


class MeanNetwork:
    """Logits of two labels: the mean brightness, and that of the left half minus the right's."""

    def __call__(self, images, training):
        assert not training
        means = tf.reduce_mean(images, axis=(1, 3))
        half = images.shape[2] // 2
        left, right = (tf.reduce_mean(x, axis=1) for x in (means[:, :half], means[:, half:]))
        return {"logits": tf.stack([(left + right) / 2, left - right], axis=1)}


def test_logits_are_those_of_the_distorted_images_in_order():
    images = np.random.default_rng(0).uniform(0, 255, (5, 16, 16, 3)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((images, np.zeros(5))).batch(2)
    network = MeanNetwork()
    found = distorted_logits(network, batches)
    assert list(found) == list(DISTORTIONS)
    for name, distort in DISTORTIONS.items():
        expected = network(tf.constant(distort(images, np.arange(5))), training=False)["logits"]
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-3)
    plain = network(tf.constant(images), training=False)["logits"].numpy()
    np.testing.assert_allclose(found["mirrored"], plain * [1, -1], rtol=1e-3, atol=1e-3)


def test_shares_of_changed_decisions():
    logits = np.array([[1.0, -1.0], [2.0, -2.0], [-1.0, 3.0]])
    values = {"same": logits, "one": logits * [[1, 1], [-1, 1], [1, 1]], "all": -logits}
    found = robustness(logits, values, lambda each: float(each.mean()), 0.5)
    assert found["same"] == {
        "mAP": pytest.approx(logits.mean()),
        "mAP_change": 0.0,
        "decisions_changed": 0.0,
        "positive_decisions_changed": 0.0,
    }
    assert found["one"]["decisions_changed"] == pytest.approx(1 / 6)
    assert found["one"]["positive_decisions_changed"] == pytest.approx(1 / 3)
    assert found["all"]["decisions_changed"] == 1.0
    none = robustness(-np.ones((2, 2)), {"same": -np.ones((2, 2))}, lambda each: None, 0.5)
    assert none["same"]["positive_decisions_changed"] is None and none["same"]["mAP_change"] is None


def test_evaluate_reports_robustness_and_keeps_scores(finished_run, tmp_path):
    run_dir = shutil.copytree(finished_run.run_dir, str(tmp_path / "run"))
    settings = {"run_dir": run_dir, "inconsistency": False, "batch_size": 5}
    with pytest.raises(ValueError, match="evaluate.py writes it with --save_scores"):
        read_scores(RunFolder(run_dir))
    evaluation = evaluate(EvaluationConfig(**settings, robustness=True, save_scores=True))
    assert set(evaluation["robustness"]) == set(DISTORTIONS)
    for values in evaluation["robustness"].values():
        change = values["mAP"] - evaluation["label_based"]["mAP"]
        assert values["mAP_change"] == pytest.approx(change)
        assert 0 <= values["decisions_changed"] <= 1
    assert 0 < evaluation["calibration"]["ECE-C"] < 1
    table = format_table(evaluation)
    assert "jpeg compressed" in table and "15 bins of equally many examples" in table

    scores, split = read_scores(RunFolder(run_dir)), read_run_split(finished_run, "test")
    np.testing.assert_array_equal(scores["labels"], split.labels)
    assert scores["logits"].shape == split.labels.shape and len(scores["images"]) == len(split)
    assert len(set(scores["units"])) == len(split)  # Each image stands alone.
    other = scores | {"images": scores["images"][::-1]}
    assert images_digest(scores) == images_digest(dict(scores)) != images_digest(other)
