"""Population stability index, Jensen-Shannon divergence, and what chance makes of them."""

import numpy as np
import pytest

from export.bundle.score_histograms import BINS, EDGES, ScoreHistograms, count_bins
from export.scoring.drift.drift import measure_drift
from export.scoring.drift.measures import (
    chance,
    jensen_shannon_divergence,
    population_stability_index,
)

LABELS = tuple(f"label {number}" for number in range(8))


def scores(images, seed, shift=0.0, labels=LABELS):
    """Synthetic probabilities of labels that move together, as those of an image do."""
    generator = np.random.default_rng(seed)
    means = np.linspace(-4.0, 1.0, len(labels)) + shift
    logits = generator.normal(means, 1.5, (images, len(labels)))
    logits += generator.normal(0.0, 1.0, (images, 1))
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def histograms(*arguments, **options):
    probabilities = scores(*arguments, **options)
    return ScoreHistograms.from_array(LABELS, count_bins(probabilities))


def test_bins_are_those_of_numpy_and_hold_every_probability():
    probabilities = scores(500, 0)
    probabilities[:3, 0] = 0.0, 1.0, 0.5
    edges = np.array([0.0, *np.float32(EDGES), np.inf])
    expected = [np.histogram(column, edges)[0] for column in probabilities.T]
    np.testing.assert_array_equal(count_bins(probabilities), expected)
    assert count_bins(probabilities[:0]).shape == (len(LABELS), BINS)
    assert len(EDGES) % 2 and EDGES[len(EDGES) // 2] == 0.5
    np.testing.assert_allclose(np.add(EDGES, EDGES[::-1]), 1.0, atol=1e-6)


def test_equal_shares_have_no_distance_and_the_order_does_not_matter():
    first, second = histograms(400, 0).array, histograms(300, 1, shift=1.0).array
    for measure in (population_stability_index, jensen_shannon_divergence):
        np.testing.assert_allclose(measure(first, first), 0.0, atol=1e-12)
        np.testing.assert_allclose(measure(first, 3 * first), 0.0, atol=1e-3)
        np.testing.assert_allclose(measure(first, second), measure(second, first))
        assert (measure(first, second) > 0.0).all()


def test_of_many_images_they_are_what_their_formulas_say():
    p, q = np.array([0.1, 0.2, 0.7]), np.array([0.3, 0.3, 0.4])
    many = 10**9
    index = population_stability_index(p * many, q * many)
    assert index == pytest.approx(((p - q) * np.log(p / q)).sum(), rel=1e-6)
    m = (p + q) / 2
    entropies = [(shares * np.log2(shares / m)).sum() for shares in (p, q)]
    assert jensen_shannon_divergence(p * many, q * many) == pytest.approx(np.mean(entropies))


def test_scores_that_share_no_bin_are_a_whole_bit_apart():
    first, second = np.array([[100, 0, 0]]), np.array([[0, 100, 0]])
    assert jensen_shannon_divergence(first, second) == pytest.approx(1.0)
    index = population_stability_index(first, second)
    assert np.isfinite(index).all() and (index > 5.0).all()


@pytest.mark.parametrize("images", [50, 1000])
def test_without_drift_the_index_is_that_of_chance_and_hardly_ever_above_its_limit(images):
    excesses, above, labels_above = [], 0, 0
    for seed in range(40):
        drift = measure_drift(histograms(500, 2 * seed), histograms(images, 2 * seed + 1), 0.02)
        excesses.append(drift.overall.psi - drift.overall.psi_by_chance)
        above += drift.is_too_large
        labels_above += len(drift.drifted_labels)
    assert abs(np.mean(excesses)) < 0.1 * drift.overall.psi_by_chance
    assert above == 0
    assert labels_above <= 0.04 * 40 * len(LABELS)  # One in a hundred, but for chance.


@pytest.mark.parametrize("images, shift", [(50, 2.0), (1000, 0.7), (1000, -0.7)])
def test_a_shift_of_all_scores_is_found(images, shift):
    drift = measure_drift(histograms(500, 0), histograms(images, 1, shift=shift), 0.05)
    assert drift.is_too_large and len(drift.drifted_labels) >= 0.8 * len(LABELS)
    assert "above --max_drift=0.05" in str(drift)
    excesses = [figures.excess for figures in drift.drifted_labels.values()]
    assert excesses == sorted(excesses, reverse=True)


def test_a_larger_shift_is_a_larger_drift_and_a_limit_is_one():
    drifts = [
        measure_drift(histograms(500, 0), histograms(500, 1, shift=shift), 0.3).overall
        for shift in (0.0, 0.5, 1.0, 2.0)
    ]
    assert sorted(drifts, key=lambda figures: figures.psi) == drifts
    assert sorted(drifts, key=lambda figures: figures.js) == drifts
    small = measure_drift(histograms(500, 0), histograms(500, 1, shift=0.7), 0.5)
    assert small.overall.is_above_chance and not small.is_too_large


def test_one_label_alone_is_named():
    current = histograms(1000, 1).array
    current[3] = histograms(1000, 1, shift=1.5).array[3]
    drift = measure_drift(histograms(1000, 0), ScoreHistograms.from_array(LABELS, current))
    assert list(drift.drifted_labels)[0] == LABELS[3]
    assert f"labels above chance: {LABELS[3]}" in str(drift)


def test_chance_is_the_same_each_time_and_does_less_with_more_images():
    reference, many, few = histograms(500, 0).array, histograms(2000, 1).array, histograms(50, 2)
    first, second = chance(reference, many), chance(reference, many)
    np.testing.assert_array_equal(first.limit, second.limit)
    with_few = chance(reference, few.array)
    assert (with_few.expected > first.expected).all() and (with_few.limit > first.limit).all()
    assert (first.limit > first.expected).all()


def test_without_scores_there_is_no_drift():
    none = ScoreHistograms.from_array(LABELS, np.zeros((len(LABELS), BINS), int))
    assert measure_drift(histograms(10, 0), none) is None
    assert measure_drift(none, histograms(10, 0)) is None
