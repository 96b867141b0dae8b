"""Focal and asymmetric loss: against slow NumPy in double precision, and what their papers say."""

import numpy as np
import pytest
import tensorflow as tf

from vac_tf import losses


def slow_focal(labels, logits, focusing, balance):
    """Equation 5 of Lin et al., one label after the other, in double precision."""
    total = np.zeros(len(labels))
    for example, label in np.ndindex(labels.shape):
        p = 1.0 / (1.0 + np.exp(-np.float64(logits[example, label])))
        y = labels[example, label]
        if np.isnan(y):
            continue
        total[example] -= y * balance * (1 - p) ** focusing * np.log(p)
        total[example] -= (1 - y) * (1 - balance) * p**focusing * np.log(1 - p)
    return total


def slow_asymmetric(labels, logits, focusing_positive, focusing_negative, margin):
    """Equations 4 to 7 of Ridnik et al., one label after the other, in double precision."""
    total = np.zeros(len(labels))
    for example, label in np.ndindex(labels.shape):
        p = 1.0 / (1.0 + np.exp(-np.float64(logits[example, label])))
        q, y = max(p - margin, 0.0), labels[example, label]
        if np.isnan(y):
            continue
        total[example] -= y * (1 - p) ** focusing_positive * np.log(p)
        total[example] -= (1 - y) * q**focusing_negative * np.log(1 - q)
    return total


@pytest.fixture
def examples():
    """Hard and soft labels, some of them unknown, and logits."""
    generator = np.random.default_rng(0)
    labels = (generator.random((16, 5)) < 0.3).astype("float32")
    labels[:4] = generator.random((4, 5))
    labels[generator.random(labels.shape) < 0.2] = np.nan
    return labels, (3.0 * generator.standard_normal((16, 5))).astype("float32")


@pytest.mark.parametrize(("focusing", "balance"), [(2.0, 0.25), (0.5, 0.75), (0.0, 0.4)])
def test_focal_loss_equals_slow_double_precision(examples, focusing, balance):
    labels, logits = examples
    result = losses.focal_loss(labels, logits, ~np.isnan(labels), focusing, balance)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(result, slow_focal(labels, logits, focusing, balance), rtol=1e-5)


@pytest.mark.parametrize(
    "settings", [(0.0, 4.0, 0.05), (1.0, 4.0, 0.05), (0.5, 0.5, 0.2), (2.0, 3.0, 0.0), (0, 0, 0.3)]
)
def test_asymmetric_loss_equals_slow_double_precision(examples, settings):
    labels, logits = examples
    result = losses.asymmetric_loss(labels, logits, ~np.isnan(labels), *settings)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(result, slow_asymmetric(labels, logits, *settings), rtol=2e-5)


def test_without_focusing_both_are_the_cross_entropy(examples):
    labels, logits = examples
    known = ~np.isnan(labels)
    expected = losses.sigmoid_cross_entropy(labels, logits, known)
    plain = losses.asymmetric_loss(labels, logits, known, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(plain, expected, rtol=1e-6)
    unbalanced = losses.focal_loss(labels, logits, known, 0.0, balance=None)
    np.testing.assert_allclose(unbalanced, expected, rtol=1e-6)
    halved = losses.focal_loss(labels, logits, known, 0.0, balance=0.5)
    np.testing.assert_allclose(2.0 * halved, expected, rtol=1e-6)


def test_focal_loss_is_an_asymmetric_loss_that_is_symmetric(examples):
    labels, logits = examples
    known = ~np.isnan(labels)
    np.testing.assert_allclose(
        losses.focal_loss(labels, logits, known, 1.5, balance=None),
        losses.asymmetric_loss(labels, logits, known, 1.5, 1.5, 0.0),
        rtol=1e-6,
    )


@pytest.mark.parametrize(("probability", "factor"), [(0.9, 100.0), (0.968, 1000.0)])
def test_what_is_easy_weighs_as_little_as_the_focal_paper_says(probability, factor):
    """Section 3.2: with gamma 2, 100 times less at p = 0.9 and 1000 times at about 0.968."""
    logits = np.float32([[np.log(probability / (1 - probability))]])
    labels = np.ones((1, 1), "float32")
    ratio = losses.sigmoid_cross_entropy(labels, logits) / losses.focal_loss(
        labels, logits, balance=None
    )
    assert float(ratio[0]) == pytest.approx(factor, rel=0.03)


def gradient_of(loss, logits):
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(variable))
    return tape.gradient(total, variable).numpy()


def test_a_negative_below_the_margin_costs_nothing_and_one_above_does():
    probabilities = np.float32([[0.01, 0.0499, 0.0501, 0.2]])
    logits = np.log(probabilities / (1 - probabilities))
    negatives = np.zeros_like(logits)
    each = [float(losses.asymmetric_loss([[0.0]], x[None, None])[0]) for x in logits[0]]
    assert each[:2] == [0.0, 0.0] and 0.0 < each[2] < each[3]
    gradient = gradient_of(lambda x: losses.asymmetric_loss(negatives, x), logits)[0]
    assert (gradient[:2] == 0.0).all() and (gradient[2:] > 0.0).all()


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("settings", [(0.0, 4.0, 0.05), (1.0, 2.0, 0.0), (0.5, 0.5, 0.1)])
def test_the_gradient_is_that_of_the_formula(settings, detach):
    """By central differences; a detached factor keeps its value while the logit moves."""
    focusing_positive, focusing_negative, margin = settings
    logits = np.linspace(-3.0, 3.0, 7)
    labels = np.float32([[1, 0]]).repeat(7, axis=0)

    def value(x, at):
        """The loss of a positive and of a negative, with the factors of logits `at`."""
        p, fixed = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-at))
        q, fixed_q = np.maximum(p - margin, 0.0), np.maximum(fixed - margin, 0.0)
        if_positive = -((1 - fixed) ** focusing_positive) * np.log(p)
        return np.stack([if_positive, -(fixed_q**focusing_negative) * np.log(1 - q)], axis=1)

    step = 1e-5
    moved = [value(x, logits if detach else x) for x in (logits + step, logits - step)]
    expected = (moved[0] - moved[1]) / (2 * step)
    pairs = np.stack([logits, logits], axis=1).astype("float32")
    gradient = gradient_of(
        lambda x: losses.asymmetric_loss(labels, x, None, *settings, detach_focusing=detach), pairs
    )
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("focusing", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_values_and_gradients_are_finite_at_extreme_logits(focusing, margin):
    logits = np.float32([[-1e4, -100.0, -89.0, 0.0, 89.0, 100.0, 1e4]]).repeat(3, axis=0)
    labels = np.float32([[0.0], [1.0], [0.3]]).repeat(7, axis=1)

    def asymmetric(x):
        return losses.asymmetric_loss(labels, x, None, focusing, focusing, margin)

    def focal(x):
        return losses.focal_loss(labels, x, None, focusing)

    for loss in (asymmetric, focal):
        assert np.isfinite(loss(logits)).all()
        assert np.isfinite(gradient_of(loss, logits)).all()


def test_unknown_labels_cost_nothing_and_move_nothing(examples):
    labels, logits = examples
    known = ~np.isnan(labels)
    for loss in (losses.asymmetric_loss, losses.focal_loss):
        gradient = gradient_of(lambda x, loss=loss: loss(labels, x, known), logits)
        assert np.isfinite(gradient).all() and (gradient[~known] == 0.0).all()
    nothing = losses.focal_loss(np.full((2, 3), np.nan), logits[:2, :3], np.zeros((2, 3)))
    np.testing.assert_array_equal(nothing, [0.0, 0.0])


def test_the_defaults_are_those_of_the_papers(examples):
    labels, logits = np.nan_to_num(examples[0]), examples[1]
    np.testing.assert_array_equal(
        losses.focal_loss(labels, logits), losses.focal_loss(labels, logits, None, 2.0, 0.25)
    )
    np.testing.assert_array_equal(
        losses.asymmetric_loss(labels, logits),
        losses.asymmetric_loss(labels, logits, None, 0.0, 4.0, 0.05, False),
    )
