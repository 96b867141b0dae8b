"""Calibration recovers what distorted probabilities; its error agrees with scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from vac_tf.decisions.calibration import (
    METHODS,
    Calibration,
    calibration_errors,
    expected_calibration_error,
    fit_calibration,
)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def calibrated(seed=0, count=40_000, num_labels=3):
    """Logits of which the sigmoid is the frequency, and labels drawn with it."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 2, size=(count, num_labels))
    labels = generator.random(logits.shape) < sigmoid(logits)
    return labels.astype(np.float32), logits.astype(np.float32)


def log_loss(labels, probabilities):
    """Negative log-likelihood of each label, summed over its known examples, [L]."""
    probabilities = np.clip(probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
    loss = -np.where(labels == 1, np.log(probabilities), np.log(1 - probabilities))
    return np.where(np.isnan(labels), 0, loss).sum(axis=0)


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_calibrated_probabilities_are_left_alone(method):
    found = fit_calibration(*calibrated(), method)
    np.testing.assert_allclose(found.scales, 1.0, atol=0.04)
    np.testing.assert_allclose(found.offsets, 0.0, atol=0.04)


def test_a_temperature_is_recovered():
    labels, logits = calibrated()
    temperatures = np.float32([0.5, 1.5, 4.0])
    found = fit_calibration(labels, logits * temperatures, "temperature")
    np.testing.assert_allclose(1 / found.scales, temperatures, rtol=0.04)
    assert (found.offsets == 0.0).all()
    # 0.5 stays 0.5: a temperature changes no decision at this threshold.
    assert (found.probabilities(np.zeros((1, 3))) == 0.5).all()


def test_scale_and_offset_are_recovered():
    labels, logits = calibrated()
    found = fit_calibration(labels, logits * 2 + 3, "platt")
    np.testing.assert_allclose(found.scales, 0.5, atol=0.03)
    np.testing.assert_allclose(found.offsets, -1.5, atol=0.06)


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_the_likelihood_of_the_fitted_images_is_never_worse(method):
    generator = np.random.default_rng(0)
    for seed in range(5):
        labels, logits = calibrated(seed, count=80, num_labels=6)
        logits = (logits * generator.uniform(0.2, 5, 6) + generator.normal(size=6)).astype("f4")
        labels[generator.random(labels.shape) < 0.2] = np.nan
        plain = log_loss(labels, Calibration.identity(6).probabilities(logits))
        own = fit_calibration(labels, logits, method)
        assert (log_loss(labels, own.probabilities(logits)) <= plain + 1e-3).all()
        drawn = fit_calibration(labels, logits, method, shrinkage=20.0)
        assert log_loss(labels, drawn.probabilities(logits)).sum() <= plain.sum() + 1e-3


def test_unknown_labels_are_as_though_the_image_were_not_there():
    labels, logits = calibrated(count=500)
    rows = np.random.default_rng(1).random(500) < 0.6
    masked = np.where(rows[:, None], labels, np.nan)
    found = fit_calibration(masked, logits, "platt", 5.0)
    expected = fit_calibration(labels[rows], logits[rows], "platt", 5.0)
    np.testing.assert_allclose(found.scales, expected.scales, rtol=1e-4)
    np.testing.assert_allclose(found.offsets, expected.offsets, atol=1e-4)
    probabilities = sigmoid(logits)
    errors = calibration_errors(masked, probabilities)
    assert errors == pytest.approx(calibration_errors(labels[rows], probabilities[rows]))


def test_rare_labels_are_drawn_to_the_fit_of_all():
    labels, logits = calibrated()
    labels[:, 0], labels[3:, 1] = 0, 0
    labels[:3, 1] = 1
    logits[:, 2] *= 3
    own = fit_calibration(labels, logits, "temperature")
    drawn = fit_calibration(labels, logits, "temperature", shrinkage=30.0)
    pooled = fit_calibration(labels.reshape(-1, 1), logits.reshape(-1, 1), "temperature").scales[0]
    assert own.scales[0] == drawn.scales[0] == pytest.approx(pooled)  # No positives.
    assert drawn.scales[1] == pytest.approx((3 * own.scales[1] + 30 * pooled) / 33, rel=1e-5)


def test_perfectly_separated_labels_stay_finite_and_ordered():
    labels, logits = np.float32([[0], [0], [1], [1]]), np.float32([[-3], [-1], [1], [4]])
    for method in ("temperature", "platt"):
        found = fit_calibration(labels, logits, method)
        assert 0 < found.scales[0] <= 20 and np.isfinite(found.offsets).all()
        probabilities = found.probabilities(logits)
        assert (np.diff(probabilities, axis=0) >= 0).all()


def test_logits_that_mislead_are_not_turned_round():
    """A negative scale would swap decisions, and heatmaps would show the opposite."""
    labels, logits = calibrated(count=500)
    assert (fit_calibration(labels, -logits, "platt").scales > 0).all()


def test_no_calibration_is_the_sigmoid():
    labels, logits = calibrated(count=50)
    found = fit_calibration(labels, logits, "none")
    np.testing.assert_allclose(found.probabilities(logits), sigmoid(logits), rtol=1e-5)
    assert found.probabilities(logits).dtype == np.float32
    with pytest.raises(ValueError, match="Unknown calibration 'isotonic'.*none, temperature"):
        fit_calibration(labels, logits, "isotonic")
    assert METHODS == ("none", "temperature", "platt")


@pytest.mark.parametrize("ties", [False, True])
def test_expected_calibration_error_is_scikit_learns_curve_weighted(ties):
    labels, logits = calibrated(count=1000, num_labels=1)
    truth, scores = labels[:, 0], sigmoid(logits[:, 0].astype(np.float64)) ** 1.5
    if ties:
        scores = np.round(scores, 1)
    frequencies, means = calibration_curve(truth, scores, n_bins=15, strategy="quantile")
    edges = np.percentile(scores, np.linspace(0, 1, 16) * 100)
    counts = np.bincount(np.searchsorted(edges[1:-1], scores))
    expected = np.sum(np.abs(frequencies - means) * counts[counts > 0]) / len(scores)
    assert expected_calibration_error(truth, scores) == pytest.approx(expected, abs=1e-9)


def test_expected_calibration_error_of_simple_cases():
    ones = np.ones(10)
    assert expected_calibration_error(ones, ones) == 0.0
    assert expected_calibration_error(ones, 0 * ones) == 1.0
    # Each half right on its own; one bin of all would not see that both halves are wrong.
    truth = np.repeat([0.0, 1.0], 5)
    assert expected_calibration_error(truth, 1 - truth) == 1.0
    assert expected_calibration_error(truth, 1 - truth, bins=1) == pytest.approx(0.0)


def test_errors_fall_when_a_distortion_is_undone():
    labels, logits = calibrated()
    distorted = logits * 3 + 1
    before = calibration_errors(labels, sigmoid(distorted))
    after = calibration_errors(
        labels, fit_calibration(labels, distorted, "platt").probabilities(distorted)
    )
    for name in ("ECE-C", "ECE-O", "NLL"):
        assert after[name] < before[name]
    assert after["ECE-C"] < 0.02 < 0.1 < before["ECE-C"]


def test_scale_and_offset_end_where_more_would_only_be_overconfidence():
    labels = np.array([[0, 1, 0, 0, 1]] * 40 + [[1, 0, 1, 1, 0]] * 40, np.float32)
    logits = np.where(labels == 1, 0.1, -0.1).astype(np.float32)
    logits[:, 1] = -logits[:, 1] * 100  # The wrong way round.
    logits[:, 3] += 50
    logits[:, 4] -= 50
    fitted = fit_calibration(labels, logits, "platt")
    np.testing.assert_allclose(fitted.scales[:3], [20.0, 0.05, 20.0], rtol=1e-6)
    np.testing.assert_allclose(fitted.offsets[3:], [-20.0, 20.0], rtol=1e-6)
    np.testing.assert_allclose(fitted.offsets[:3], 0.0, atol=1e-3)
    assert (fit_calibration(labels, logits, "temperature").offsets == 0).all()


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_a_label_is_drawn_by_the_examples_of_its_rarer_class(method):
    generator = np.random.default_rng(6)
    logits = generator.normal(0, 2, (90, 3)).astype(np.float32)
    labels = (generator.random((90, 3)) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    labels[logits[:, 0] < 1.5, 0] = 0
    labels[logits[:, 1] > -1.5, 1] = 1
    labels[:5, 2] = np.nan
    rarer = [np.sum(labels[:, 0] == 1), np.sum(labels[:, 1] == 0)]
    rarer.append(min(np.sum(labels[:, 2] == 1), np.sum(labels[:, 2] == 0)))
    own, drawn, pooled = (
        np.stack([fit.scales, fit.offsets])
        for fit in (fit_calibration(labels, logits, method, shrinkage) for shrinkage in (0, 7, 1e9))
    )
    rarer = np.array(rarer)
    np.testing.assert_allclose(pooled, pooled[:, :1].repeat(3, axis=1), rtol=1e-4, atol=1e-5)
    expected = (rarer * own + 7 * pooled) / (rarer + 7)
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-5)
