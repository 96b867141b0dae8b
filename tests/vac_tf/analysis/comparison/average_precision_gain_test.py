"""Differences of average precision: the fast bootstrap equals the slow one."""

import json
import time

import numpy as np
import pytest
from scipy import stats

from vac_tf.analysis.comparison.average_precision_gain import (
    LEAST_POSITIVES,
    compare_average_precision,
    gain_correlations,
)
from vac_tf.analysis.comparison.weighted_average_precision import LabelRanking
from vac_tf.metrics.average_precision import average_precision, average_precision_per_label
from vac_tf.metrics.bootstrap import resample_counts

NAMES = ("a", "b", "c", "d")


def example(seed=0, count=60, with_ties=True, with_unknown=False):
    generator = np.random.default_rng(seed)
    labels = (generator.random((count, len(NAMES))) < 0.25).astype(np.float32)
    baseline, scores = generator.random((2, count, len(NAMES)))
    scores = 0.7 * scores + 0.3 * labels
    if with_ties:
        baseline, scores = np.round(baseline, 1), np.round(scores, 1)
    if with_unknown:
        labels[generator.random(labels.shape) < 0.2] = np.nan
    return labels, baseline, scores


def drawn_images(counts):
    """The images of a resample, each as often as it was drawn."""
    return np.repeat(np.arange(len(counts)), counts.astype(int))


@pytest.mark.parametrize("with_ties", [False, True])
@pytest.mark.parametrize("with_unknown", [False, True])
def test_weighted_average_precision_is_that_of_the_resampled_arrays(with_ties, with_unknown):
    labels, _, scores = example(3, with_ties=with_ties, with_unknown=with_unknown)
    labels[:, 3] = 0
    labels[5, 3] = 1
    (counts,) = resample_counts(len(labels), 40, 7)
    for label in range(len(NAMES)):
        ranking = LabelRanking(labels[:, label], scores[:, label])
        fast = ranking.average_precision(counts)
        slow = [
            average_precision(labels[drawn, label], scores[drawn, label])
            for drawn in map(drawn_images, counts.T)
        ]
        np.testing.assert_allclose(fast, slow, rtol=1e-12)
        assert label < 3 or np.isnan(fast).any()


def test_weights_of_one_give_the_average_precision_itself():
    labels, _, scores = example(with_unknown=True)
    ones = np.ones((len(labels), 1), np.float32)
    values = [LabelRanking(labels[:, i], scores[:, i]).average_precision(ones)[0] for i in range(4)]
    np.testing.assert_allclose(values, average_precision_per_label(labels, scores), rtol=1e-12)


def test_resamples_draw_as_many_images_as_there_are():
    chunks = list(resample_counts(50, 600, 0))
    counts = np.concatenate(chunks, axis=1)
    assert len(chunks) > 1 and counts.shape == (50, 600)
    assert (counts.sum(axis=0) == 50).all()
    assert counts.mean(axis=1) == pytest.approx(np.ones(50), abs=0.2)


def test_comparison_equals_the_slow_bootstrap():
    labels, baseline, scores = example()
    labels[:, 2] = 0
    labels[:, 3] = 0
    labels[4, 3] = 1
    result = compare_average_precision(labels, baseline, scores, NAMES, samples=50, seed=1)
    (counts,) = resample_counts(len(labels), 50, 1)
    slow = []
    for drawn in map(drawn_images, counts.T):
        first, second = (
            average_precision_per_label(labels[drawn], model[drawn]) for model in (baseline, scores)
        )
        slow.append(second - first)
    slow = np.array(slow)
    assert result["labels_without_positives"] == ["c"]
    for row in result["labels"]:
        column = slow[:, row["label"]]
        known = column[~np.isnan(column)]
        assert row["name"] == NAMES[row["label"]]
        assert row["resamples_left_out"] == np.isnan(column).sum()
        if row["name"] == "d":
            assert row["positives"] == 1 < LEAST_POSITIVES and row["interval"] is None
        else:
            expected = np.percentile(known, (2.5, 97.5))
            np.testing.assert_allclose(row["interval"], expected, rtol=1e-9)
        expected = [
            average_precision(labels[:, row["label"]], m[:, row["label"]])
            for m in (baseline, scores)
        ]
        assert row["difference"] == pytest.approx(expected[1] - expected[0])
    assert result["without_interval"] == 1
    differences = [row["difference"] for row in result["labels"]]
    assert differences == sorted(differences, reverse=True) and len(differences) == 3
    assert result["mAP"]["difference"] == pytest.approx(np.mean(differences))
    means = np.nanmean(np.delete(slow, 2, axis=1), axis=1)
    np.testing.assert_allclose(result["mAP"]["interval"], np.percentile(means, (2.5, 97.5)))
    json.dumps(result, allow_nan=False)


def test_a_model_gains_nothing_over_itself():
    labels, baseline, _ = example()
    result = compare_average_precision(labels, baseline, baseline, NAMES, samples=20)
    assert result["unchanged"] == 4 and result["improved"] == result["worsened"] == 0
    assert all(row["interval"] == [0, 0] for row in result["labels"])
    assert result["mAP"]["interval"] == [0, 0]


def test_exchanged_models_exchange_signs():
    labels, baseline, scores = example()
    forth = compare_average_precision(labels, baseline, scores, NAMES, samples=30)
    back = compare_average_precision(labels, scores, baseline, NAMES, samples=30)
    assert forth["improved"] == back["worsened"] > 0
    assert forth["improved_beyond_interval"] == back["worsened_beyond_interval"]
    low, high = forth["mAP"]["interval"]
    assert back["mAP"]["interval"] == pytest.approx([-high, -low])
    repeated = compare_average_precision(labels, baseline, scores, NAMES, samples=30)
    assert repeated == forth
    other = compare_average_precision(labels, baseline, scores, NAMES, samples=30, seed=1)
    assert other["mAP"]["interval"] != forth["mAP"]["interval"]


def test_nothing_is_positive():
    labels, baseline, scores = example()
    result = compare_average_precision(0 * labels, baseline, scores, NAMES, samples=3)
    assert result["labels"] == [] and result["mAP"]["difference"] is None
    assert result["labels_without_positives"] == list(NAMES)


def test_a_resample_without_any_positive_has_no_mean():
    labels, baseline, scores = example(count=4)
    labels[:] = 0
    labels[0, 0] = 1
    result = compare_average_precision(labels, baseline, scores, NAMES, samples=100)
    assert 0 < result["labels"][0]["resamples_left_out"] < 100
    json.dumps(result, allow_nan=False)


def test_intervals_of_equally_good_models_hold_zero_nearly_always():
    generator = np.random.default_rng(0)
    labels = np.zeros((128, 200), np.float32)
    labels[:10] = 1
    noise = generator.normal(size=(2, *labels.shape)) + generator.normal(size=labels.shape)
    names = [str(label) for label in range(200)]
    result = compare_average_precision(labels, *(1.5 * labels + noise), names, samples=200)
    assert result["without_interval"] == 0
    assert 0 < result["improved_beyond_interval"] + result["worsened_beyond_interval"] < 0.15 * 200
    low, high = result["mAP"]["interval"]
    assert low < 0 < high


def test_what_does_not_fit_is_refused():
    labels, baseline, scores = example()
    with pytest.raises(ValueError, match="3 label names"):
        compare_average_precision(labels, baseline, scores, NAMES[:3])
    with pytest.raises(ValueError, match="scores of shape"):
        compare_average_precision(labels, baseline[:9], scores, NAMES)
    with pytest.raises(ValueError, match="samples=0"):
        compare_average_precision(labels, baseline, scores, NAMES, samples=0)


def test_gains_against_area_and_saliency_equal_scipy():
    generator = np.random.default_rng(0)
    differences, area, saliency = generator.random((3, 20))
    without = [float("nan"), *area[1:]]
    result = gain_correlations(differences, without, saliency, [str(i) for i in range(20)])
    for name, values, start in (("area", area, 1), ("saliency", saliency, 0)):
        for key, function in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
            expected = function(values[start:], differences[start:])
            assert result[name][key]["correlation"] == pytest.approx(expected.statistic)
            assert result[name][key]["p_value"] == pytest.approx(expected.pvalue)
    assert result["area"]["count"] == 19 and result["saliency"]["count"] == 20
    assert result["points"][0]["area"] is None and result["points"][3]["name"] == "3"
    assert "saliency" not in gain_correlations(differences, area)
    json.dumps(result, allow_nan=False)


def test_a_thousand_resamples_of_eighty_labels_take_less_than_a_minute():
    generator = np.random.default_rng(0)
    labels = (generator.random((4000, 80)) < 0.035).astype(np.float32)
    baseline, scores = generator.random((2, 4000, 80)).astype(np.float32)
    start = time.perf_counter()
    compare_average_precision(labels, baseline, scores, [str(i) for i in range(80)])
    assert time.perf_counter() - start < 60


def test_images_that_belong_together_are_no_further_evidence():
    alone = example()
    thrice = [np.repeat(values, 3, axis=0) for values in alone]
    units = np.repeat(np.arange(len(alone[0])), 3)

    def interval(data, units=None):
        return compare_average_precision(*data, NAMES, 200, units=units)["mAP"]["interval"]

    assert interval(thrice, units) == pytest.approx(interval(alone))
    assert np.diff(interval(thrice)) < 0.8 * np.diff(interval(alone))
