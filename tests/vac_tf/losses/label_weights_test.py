"""Weights by the proportion of positives: the formulas, and finite for a label without any."""

import numpy as np
import pytest

from vac_tf import losses
from vac_tf.configs.classification import TrainConfig
from vac_tf.losses.label_weights import LABEL_WEIGHTS

RATIO = np.float32([0.02, 0.25, 0.5, 0.9])
FORMULAS = {
    "exponential": lambda p: (np.exp(1 - p), np.exp(p)),
    "square_root": lambda p: (np.sqrt(1 / (2 * np.sqrt(p))), np.sqrt(1 / (2 * (1 - np.sqrt(p))))),
    # The inverse frequencies over their sum.
    "balanced": lambda p: ((1 / p) / (1 / p + 1 / (1 - p)), (1 / (1 - p)) / (1 / p + 1 / (1 - p))),
    "inverse": lambda p: ((1 - p) / p, np.ones_like(p)),
}


@pytest.mark.parametrize("name", LABEL_WEIGHTS)
def test_weights_are_those_of_their_formula(name):
    for weight, expected in zip(LABEL_WEIGHTS[name](RATIO), FORMULAS[name](RATIO), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-6)


@pytest.mark.parametrize("name", LABEL_WEIGHTS)
def test_rare_answers_weigh_more_and_none_weighs_without_limit(name):
    ratio = np.linspace(0.0, 1.0, 101).astype("float32")
    positive, negative = (np.asarray(weight) for weight in LABEL_WEIGHTS[name](ratio))
    assert (np.diff(positive) <= 0).all() and (np.diff(negative) >= 0).all()
    assert np.isfinite(positive).all() and np.isfinite(negative).all()
    assert positive.min() >= 0.0 and max(positive.max(), negative.max()) <= 1000.0


@pytest.mark.parametrize("name", ["balanced", "inverse"])
def test_inverse_weights_give_both_answers_of_a_label_the_same_total(name):
    positive, negative = (np.asarray(weight) for weight in LABEL_WEIGHTS[name](RATIO))
    np.testing.assert_allclose(RATIO * positive, (1 - RATIO) * negative, rtol=1e-6)


@pytest.mark.parametrize("name", LABEL_WEIGHTS)
def test_the_loss_weighs_positives_and_negatives(name):
    logits = np.float32([[-2.0, 0.3, 4.0, 1.0], [0.5, 2.0, -1.0, 0.0]])
    labels = np.float32([[1, 0, 1, 0.25], [0, 1, 0, 1]])
    positive, negative = FORMULAS[name](RATIO)
    expected = positive * labels * np.log1p(np.exp(-logits))
    expected += negative * (1 - labels) * np.log1p(np.exp(logits))
    result = losses.weighted_sigmoid_cross_entropy(labels, logits, RATIO, label_weights=name)
    np.testing.assert_allclose(result, expected.sum(axis=1), rtol=1e-6)


def test_every_weighting_is_a_choice_and_the_reverse():
    (field,) = [f for f in TrainConfig.__dataclass_fields__.values() if f.name == "label_weights"]
    assert tuple(LABEL_WEIGHTS) == field.metadata["choices"]
