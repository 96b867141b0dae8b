"""Metrics of label groups: by hand, against scikit-learn, and as part of an evaluation."""

import json

import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.metrics.label_groups.group_metrics import measure_groups
from vac_tf.metrics.multilabel import evaluate_logits, evaluate_multilabel

NAN = np.nan
NAMES = ("young", "old", "red", "blue")
GROUPS = (LabelGroup("age", (0, 1)), LabelGroup("colour", (2, 3), at_most_one=True))


def test_by_hand():
    labels = np.array(
        [
            [1, 0, 1, 0],  # young and red
            [1, 0, 0, 0],  # no colour
            [0, 1, NAN, 0],  # colour unknown
            [0, 0, 1, 1],  # both groups are contradicted
        ],
        np.float32,
    )
    probabilities = np.array(
        [[0.9, 0.1, 0.6, 0.3], [0.4, 0.6, 0.2, 0.3], [0.2, 0.8, 0.9, 0.0], [0.5, 0.5, 0.0, 0.0]],
        np.float32,
    )
    decided = probabilities > 0.35  # Both ages of the second image, no colour of the last.
    results = measure_groups(labels, probabilities, decided, 0.5, GROUPS, NAMES)
    age, colour = results["groups"]
    assert age["images"] == 3 and age["left_out"] == {"unknown": 0, "contradictory": 1}
    assert age["top1"] == pytest.approx(2 / 3)
    assert age["recall"] == {"young": 0.5, "old": 1.0} and age["mean_recall"] == 0.75
    assert age["contradictory_decisions"] == 0.5
    assert colour["left_out"] == {"unknown": 1, "contradictory": 1}
    assert colour["recall"] == {"red": 1.0, "blue": None, "none": 1.0}
    assert colour["top1"] == colour["mean_recall"] == 1.0
    assert results["top1"] == pytest.approx((2 / 3 + 1) / 2)
    assert results["contradictory_decisions"] == 0.5


def test_against_scikit_learn():
    random = np.random.default_rng(0)
    truth, logits = random.integers(0, 4, 200), random.normal(size=(200, 4)).astype(np.float32)
    group = (LabelGroup("all", (0, 1, 2, 3)),)
    results = evaluate_logits(np.eye(4)[truth], logits, NAMES, label_groups=group)
    probabilities = scipy.special.softmax(logits, axis=1)
    found, chosen = results["label_groups"]["groups"][0], logits.argmax(axis=1)
    assert found["top1"] == pytest.approx(sklearn.metrics.accuracy_score(truth, chosen))
    assert found["mean_recall"] == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(truth, chosen)
    )
    # One decision an image: precision, recall and accuracy over all labels are one number.
    assert results["label_based"]["P-O"] == results["label_based"]["R-O"] == found["top1"]
    expected = [
        sklearn.metrics.average_precision_score(truth == label, probabilities[:, label])
        for label in range(4)
    ]
    assert results["label_based"]["mAP"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert results["label_groups"]["contradictory_decisions"] == 0.0
    assert json.loads(json.dumps(results)) == results


def test_groups_of_which_nothing_is_known():
    results = measure_groups(
        np.full((2, 4), NAN), np.zeros((2, 4)), np.zeros((2, 4), bool), 0.5, GROUPS, NAMES
    )
    assert results["top1"] is None and results["groups"][0]["recall"]["young"] is None
    assert results["contradictory_decisions"] == 1.0  # No age is decided.


def test_a_label_may_be_called_none():
    names = ("young", "old", "none", "blue")
    found = measure_groups(np.eye(4), np.eye(4), np.eye(4, dtype=bool), 0.5, GROUPS, names)
    assert list(found["groups"][1]["recall"]) == ["none", "blue", "(none)"]


def test_without_groups_an_evaluation_says_nothing_of_them():
    assert "label_groups" not in evaluate_multilabel(np.eye(4), np.eye(4), NAMES)
