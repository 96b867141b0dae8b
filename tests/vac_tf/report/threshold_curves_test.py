"""Counts at thresholds and thinned curves: equal to the metrics, and on scikit-learn's curve."""

import numpy as np
import pytest
import scipy.special
from sklearn.metrics import precision_recall_curve

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import DecisionRule
from vac_tf.metrics.label_groups.decisions import decide, log_odds
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.report.label_table import network_thresholds, slider_data
from vac_tf.report.threshold_curves import (
    precision_recall_points,
    slider_thresholds,
    threshold_counts,
)


@pytest.fixture
def example():
    generator = np.random.default_rng(0)
    labels = (generator.random((200, 3)) < 0.3).astype(np.float32)
    labels[::17, 1] = np.nan
    return labels, (generator.normal(size=labels.shape) + np.nan_to_num(labels)).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.5, 0.37, 0.123456])
def test_counts_give_the_metrics_of_the_threshold(example, threshold):
    labels, logits = example
    thresholds = slider_thresholds(threshold)
    step = list(thresholds).index(np.float32(threshold))
    true, false = threshold_counts(labels, scipy.special.expit(logits), thresholds)
    results = evaluate_logits(labels, logits, threshold=threshold)["per_label"]
    for label, row in enumerate(results):
        decided = true[label, step] + false[label, step]
        assert row["precision"] == true[label, step] / decided
        assert row["recall"] == true[label, step] / row["positives"]


@pytest.mark.parametrize("at_most_one", [False, True])
def test_of_labels_that_exclude_each_other_the_slider_counts_what_is_decided(example, at_most_one):
    labels, logits = example
    groups = (LabelGroup("kind", (0, 2), at_most_one),)
    odds = log_odds(logits, groups)
    data = slider_data("abc", labels, odds, "ignore", 0.5, groups)
    probabilities = scipy.special.expit(odds)
    for step, threshold in enumerate(slider_thresholds(0.5)):
        decided = decide(probabilities, threshold, groups)
        for label, entry in enumerate(data["labels"]):
            assert entry["true"][step] == np.sum(decided[:, label] & (labels[:, label] == 1))
            assert entry["false"][step] == np.sum(decided[:, label] & (labels[:, label] == 0))


def test_a_probability_at_the_threshold_is_not_above_it():
    true, false = threshold_counts(np.ones((2, 1)), np.full((2, 1), 0.5, np.float32), [0.4, 0.5])
    assert true.tolist() == [[2, 0]] and false.tolist() == [[0, 0]]


def test_points_lie_on_the_curve_and_are_few(example):
    labels, logits = example
    precision, recall, _ = precision_recall_curve(labels[:, 0], logits[:, 0])
    on_curve = {(round(r, 9), round(p, 9)) for r, p in zip(recall, precision, strict=True)}
    for most in (10, 1000):
        points = list(zip(*precision_recall_points(labels[:, 0], logits[:, 0], most), strict=True))
        assert 2 < len(points) <= most and points[-1][0] == 1.0
        assert {(round(r, 9), round(p, 9)) for r, p in points} <= on_curve


def test_equal_scores_are_one_point_and_no_positive_is_none():
    recall, precision = precision_recall_points(np.array([1, 0, 1, 0]), np.zeros(4))
    assert (recall.tolist(), precision.tolist()) == ([1.0], [0.5])
    for labels in (np.zeros(3), np.full(3, np.nan)):
        recall, precision = precision_recall_points(labels, np.arange(3))
        assert len(recall) == len(precision) == 0


def test_a_tuned_threshold_is_shown_where_the_slider_decides_alike(example):
    _, logits = example
    calibration = Calibration("platt", np.array([0.5, 2, 1], "f"), np.array([1, -1, 0], "f"))
    rule = DecisionRule(("a", "b", "c"), np.array([0.3, 0.6, 0.5], "f"), calibration, {})
    by_rule = calibration.probabilities(logits) > rule.thresholds
    by_slider = scipy.special.expit(logits.astype(float)) > network_thresholds(rule)
    np.testing.assert_array_equal(by_slider, by_rule)
