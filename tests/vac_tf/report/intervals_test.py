"""Bootstrap intervals equal what the metrics say of the repeated images; chance is exact."""

import itertools

import numpy as np
import pytest
import scipy.special

from vac_tf.metrics.bootstrap import percentile_interval, resample_counts
from vac_tf.metrics.multilabel import average_precision, evaluate_logits
from vac_tf.report.intervals import (
    bootstrap_intervals,
    chance_average_precision,
    chance_level,
    resamples_for,
)

SAMPLES = 12


@pytest.fixture
def example():
    generator = np.random.default_rng(0)
    labels = (generator.random((30, 4)) < 0.4).astype(np.float32)
    labels[generator.random(labels.shape) < 0.1] = np.nan
    logits = (generator.normal(size=labels.shape) + 2 * np.nan_to_num(labels)).astype(np.float32)
    return labels, logits.round(1)


def intervals(labels, logits, samples=SAMPLES):
    decided = scipy.special.expit(logits) > 0.5
    return bootstrap_intervals(labels, labels, logits, decided, samples)


def test_a_resample_is_measured_as_its_repeated_images(example):
    labels, logits = example
    by_hand = []
    for counts in resample_counts(len(labels), SAMPLES, seed=0):
        for weights in counts.T.astype(int):
            rows = np.repeat(np.arange(len(labels)), weights)
            by_hand.append(evaluate_logits(labels[rows], logits[rows]))
    found, of_labels = intervals(labels, logits)
    for name, interval in found.items():
        group = "example_based" if name in by_hand[0]["example_based"] else "label_based"
        values = np.array([result[group][name] for result in by_hand], float)
        np.testing.assert_allclose(interval, percentile_interval(values), atol=1e-9, err_msg=name)
    first = np.array([result["per_label"][0]["AP"] for result in by_hand], float)
    np.testing.assert_allclose(of_labels[0], percentile_interval(first), atol=1e-9)


def test_what_is_always_right_has_no_width(example):
    labels, _ = example
    found, _ = intervals(labels, np.where(labels == 1, 5.0, -5.0).astype(np.float32))
    assert found["mAP"] == found["mA"] == found["F1-C"] == (1.0, 1.0)


def test_a_label_without_positives_has_no_interval(example):
    labels, logits = example
    labels[:, 2] = 0
    found, of_labels = intervals(labels, logits)
    assert of_labels[2] is None and of_labels[0] is not None
    assert 0 < found["mAP"][0] < found["mAP"][1] < 1


def test_one_image_is_enough():
    found, of_labels = intervals(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))
    assert found["F1-O"] == (1.0, 1.0) and of_labels == [(1.0, 1.0)]


def test_chance_is_the_mean_over_all_orders():
    labels = np.array([1, 1, 0, 0, 0, np.nan])
    orders = itertools.permutations(range(6))
    mean = np.mean([average_precision(labels, np.array(order)) for order in orders])
    columns = np.stack([labels, np.zeros(6), np.ones(6)], axis=1)
    np.testing.assert_allclose(chance_average_precision(columns), [mean, np.nan, 1.0], rtol=1e-9)


def test_chance_decides_as_often_and_without_looking():
    generator = np.random.default_rng(1)
    labels = (generator.random((4000, 2)) < 0.3).astype(np.float32)
    chance = chance_level(labels, labels, labels == 1)
    assert chance["mA"] == pytest.approx(0.5, abs=0.02)
    assert chance["F1-O"] == pytest.approx(0.3, abs=0.02)
    assert chance["mAP"] == pytest.approx(0.3, abs=0.02)


def test_many_labels_take_fewer_resamples():
    assert [resamples_for(100, 10), resamples_for(40_000, 2000)] == [1000, 100]


def test_drawing_groups_is_drawing_their_images_together(example):
    labels, logits = example
    groups = np.arange(len(labels)) // 5
    (counts,) = resample_counts(len(labels), SAMPLES, 0, groups)
    for number in range(groups.max() + 1):
        rows = counts[groups == number]
        assert (rows == rows[0]).all()
    decided = scipy.special.expit(logits) > 0.5
    # Copies of the same image are no more evidence than one: the interval keeps its width.
    repeated = [np.repeat(each, 5, axis=0) for each in (labels, labels, logits, decided)]
    found, _ = bootstrap_intervals(*repeated, SAMPLES, groups=np.repeat(np.arange(len(labels)), 5))
    once, _ = intervals(labels, logits)
    narrow, _ = bootstrap_intervals(*repeated, SAMPLES)
    assert np.ptp(found["mA"]) == pytest.approx(np.ptp(once["mA"]), rel=0.05)
    assert np.ptp(narrow["mA"]) < 0.7 * np.ptp(once["mA"])
