"""Soft labels: shares of a positive and of a negative; smoothing draws labels towards 1/2."""

import numpy as np
import pytest

from vac_tf import losses


@pytest.fixture
def logits():
    return (3.0 * np.random.default_rng(0).standard_normal((6, 4))).astype("float32")


def loss_functions():
    ratio = np.float32([0.1, 0.4, 0.5, 0.8])
    return {
        "weighted": lambda y, x: losses.weighted_sigmoid_cross_entropy(y, x, ratio),
        "plain": losses.sigmoid_cross_entropy,
        "asymmetric": losses.asymmetric_loss,
        "focal": losses.focal_loss,
    }


@pytest.mark.parametrize("name", loss_functions())
def test_every_loss_is_linear_in_its_labels(logits, name):
    """So that the loss of mixed labels is the mixture of the losses."""
    loss, share = loss_functions()[name], 0.3
    first, second = (np.random.default_rng(1).random((2, 6, 4)) < 0.4).astype("float32")
    mixed = loss(share * first + (1 - share) * second, logits)
    expected = share * loss(first, logits) + (1 - share) * loss(second, logits)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["plain", "asymmetric", "focal"])
def test_unknown_labels_add_nothing(logits, name):
    """Whatever stands in their place."""
    loss = loss_functions()[name]
    labels = (np.random.default_rng(1).random((6, 4)) < 0.4).astype("float32")
    labels[:, 3] = np.nan
    mask = np.float32([[1, 1, 1, 0]] * 6)
    expected = loss(labels[:, :3], logits[:, :3])
    np.testing.assert_allclose(loss(labels, logits, mask=mask), expected, rtol=1e-6)


def test_smoothing_draws_labels_towards_one_half():
    labels = np.float32([[0.0, 1.0, 0.5, np.nan]])
    np.testing.assert_allclose(losses.smooth_labels(labels, 0.2), [[0.1, 0.9, 0.5, np.nan]])
    assert losses.smooth_labels(labels, 0.0) is labels


def test_the_smoothed_cross_entropy_is_smallest_at_the_smoothed_label():
    probability = 0.9
    near = np.log(np.float32([0.89, probability, 0.91]) / (1 - np.float32([0.89, 0.9, 0.91])))
    labels = losses.smooth_labels(np.ones((3, 1), "float32"), 0.2)
    values = losses.sigmoid_cross_entropy(labels, near[:, None]).numpy()
    assert values[1] < values[0] and values[1] < values[2]
