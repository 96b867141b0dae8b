"""The paired bootstrap: against resampling by hand, and by its properties."""

import numpy as np
import pytest

from experiments.study_runner.statistics import (
    bootstrap_draws,
    draws_of,
    mean_with_interval,
    paired_difference,
    unit_draws,
)
from tests.experiments.study_runner.study_files import random_labels
from vac_tf.analysis.comparison.average_precision_gain import compare_average_precision
from vac_tf.metrics.bootstrap import percentile_interval, resample_counts
from vac_tf.metrics.multilabel import evaluate_logits


def random_case(seed=0):
    labels = random_labels(seed)
    return labels, np.random.default_rng(seed + 1).normal(size=labels.shape) + 2 * labels - 1


def test_draws_are_the_metrics_of_the_drawn_images():
    labels, logits = random_case()
    draws = bootstrap_draws(labels, logits, samples=3)
    (counts,) = resample_counts(len(labels), 3, 0)
    for number, weights in enumerate(counts.T):
        rows = np.repeat(np.arange(len(labels)), weights.astype(int))
        expected = evaluate_logits(labels[rows], logits[rows])["label_based"]
        for metric, values in draws.items():
            assert values[number] == pytest.approx(expected[metric], abs=2e-5)


def test_differences_of_draws_have_the_interval_of_the_paired_bootstrap():
    labels, logits = random_case()
    other = logits + np.random.default_rng(5).normal(size=logits.shape)
    draws = [bootstrap_draws(labels, each, samples=200)["mAP"] for each in (logits, other)]
    found = percentile_interval(np.subtract(*draws[::-1]))
    names = [str(label) for label in range(labels.shape[1])]
    expected = compare_average_precision(labels, logits, other, names, 200, seed=0)
    assert found == pytest.approx(expected["mAP"]["interval"], abs=3e-5)


def test_images_of_one_person_are_no_further_evidence():
    labels, logits = random_case()
    units = np.repeat(np.arange(len(labels)), 3)
    alone = unit_draws(labels, logits, 0.5, np.arange(len(labels)))
    thrice = unit_draws(np.repeat(labels, 3, axis=0), np.repeat(logits, 3, axis=0), 0.5, units)
    assert thrice["units"]["number"] == alone["units"]["number"] == len(labels)
    for metric, draws in thrice["bootstrap"].items():
        np.testing.assert_allclose(draws, alone["bootstrap"][metric], atol=2e-5)
        widths = [
            np.ptp(percentile_interval(np.array(each[metric])))
            for each in (thrice["bootstrap_of_images"], thrice["bootstrap"])
        ]
        assert widths[0] < 0.8 * widths[1]
    assert "bootstrap_of_images" not in alone  # They are the same.


def test_draws_of_images_are_compared_where_a_result_has_no_others():
    old, new = {"bootstrap": {"mAP": [1]}}, {"bootstrap": {"mAP": [2]}, "units": {}}
    assert draws_of([new, new], "mAP") == ("units", [[2], [2]])
    assert draws_of([old, new | {"bootstrap_of_images": {"mAP": [3]}}], "mAP") == (
        "images",
        [[1], [3]],
    )
    assert draws_of([old, new], "mAP") == ("images", [[1], [2]])  # Each image stands alone.


def test_unknown_labels_are_left_out():
    labels, logits = random_case()
    labels[:10, 0] = np.nan
    rest = bootstrap_draws(labels, logits, samples=5)
    changed = logits.copy()
    changed[:10, 0] = 100.0
    assert bootstrap_draws(labels, changed, samples=5) == rest


def test_one_seed_has_the_interval_over_images_and_several_a_wider_one():
    generator = np.random.default_rng(0)
    draws = 0.5 + 0.01 * generator.normal(size=(1, 400))
    one = mean_with_interval([0.5], draws)
    assert (one["low"], one["high"]) == percentile_interval(draws[0])
    assert one["deviation"] is None and one["seeds"] == 1
    apart = mean_with_interval([0.4, 0.5, 0.6], np.concatenate([draws - 0.1, draws, draws + 0.1]))
    assert apart["mean"] == pytest.approx(0.5) and apart["deviation"] == pytest.approx(0.1)
    assert apart["low"] < one["low"] and apart["high"] > one["high"]


def raw(row, seed, value, digest="same"):
    draws = {metric: [value - 0.01, value, value + 0.01] for metric in ("mAP", "mA")}
    metrics = {"label_based": {"mAP": value, "mA": value}}
    result = {"row": row, "seed": seed, "evaluation": metrics, "bootstrap": draws}
    return result | {"images_digest": digest}


def test_pairs_are_of_the_same_seed_and_the_same_images():
    rows = [raw("new", 0, 0.6), raw("new", 2, 0.9)]
    baselines = [raw("old", 0, 0.5), raw("old", 1, 0.1)]
    found = paired_difference(rows, baselines, "mAP")
    assert found["mean"] == pytest.approx(0.1) and found["seeds"] == 1
    # What the resamples of both have in common is no doubt about their difference.
    assert found["low"] == pytest.approx(0.1) and found["high"] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="No seed in common"):
        paired_difference(rows, [raw("old", 1, 0.1)], "mAP")
    with pytest.raises(
        ValueError, match=r"new \(seed 0\) and old \(seed 0\) were evaluated on oth"
    ):
        paired_difference(rows, [raw("old", 0, 0.5, "other")], "mAP")
    units = [{"units": {"digest": digest}} for digest in ("people", "cameras")]
    with pytest.raises(ValueError, match="were evaluated on other groups of images"):
        paired_difference([rows[0] | units[0]], [baselines[0] | units[1]], "mAP")
