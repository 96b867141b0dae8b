"""The softmax loss of label groups: against slow NumPy and Keras, and properties."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from vac_tf import losses
from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.losses.label_groups import (
    grouped_cross_entropy,
    grouped_probabilities,
    with_label_groups,
)
from vac_tf.metrics.label_groups.decisions import log_odds

NAN = np.nan
AGE, COLOUR = LabelGroup("age", (1, 2, 4)), LabelGroup("colour", (0, 5), at_most_one=True)
GROUPS = (AGE, COLOUR)
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 3, (6, 7)).astype(np.float32)
LABELS = np.zeros((6, 7), np.float32)
LABELS[range(6), [1, 2, 4, 1, 2, 4]] = 1.0
LABELS[:4, 0] = [1, 0, 0, 1]
LABELS[:4, 5] = [0, 1, 0, 0]
LABELS[:, 3] = [1, 0, 1, 1, 0, 0]


def known(labels):
    return tf.logical_not(tf.math.is_nan(tf.constant(labels, tf.float32)))


def cost(labels, logits=LOGITS, groups=GROUPS, **options):
    labels = np.asarray(labels, np.float32)
    return grouped_cross_entropy(labels, logits, groups, known(labels), **options).numpy()


def test_exactly_one_is_the_categorical_cross_entropy_of_keras():
    columns = list(AGE.columns)
    expected = keras.losses.categorical_crossentropy(
        LABELS[:, columns], LOGITS[:, columns], from_logits=True
    )
    np.testing.assert_allclose(cost(LABELS, groups=(AGE,)), expected, rtol=1e-5)


def test_at_most_one_has_an_answer_more_whose_logit_is_zero():
    with_none = np.pad(LOGITS[:, [0, 5]], ((0, 0), (0, 1)))
    answer = np.where(LABELS[:, 0] == 1, 0, np.where(LABELS[:, 5] == 1, 1, 2))
    expected = -scipy.special.log_softmax(with_none, axis=1)[range(6), answer]
    np.testing.assert_allclose(cost(LABELS, groups=(COLOUR,)), expected, rtol=1e-5)


def test_a_label_alone_with_none_would_have_the_sigmoid_cross_entropy():
    alone = (LabelGroup("hat", (3,), at_most_one=True),)
    expected = losses.sigmoid_cross_entropy(LABELS[:, 3:4], LOGITS[:, 3:4])
    np.testing.assert_allclose(cost(LABELS, groups=alone), expected, rtol=1e-5)


def test_a_short_group_is_not_changed_by_a_longer_one_beside_it():
    short = LabelGroup("size", (3, 6))
    longer = LabelGroup("colour", (0, 1, 2, 4, 5), at_most_one=True)
    labels = np.zeros_like(LABELS)
    labels[range(6), [3, 6, 6, 3, 6, 3]] = 1.0
    labels[range(6), [0, 1, 2, 4, 5, 0]] = 1.0
    both = cost(labels, groups=(short, longer))
    apart = cost(labels, groups=(short,)) + cost(labels, groups=(longer,))
    np.testing.assert_allclose(both, apart, rtol=1e-5)
    found = grouped_probabilities(LOGITS, (short, longer)).numpy()
    expected = scipy.special.softmax(LOGITS[:, [3, 6]], axis=1)
    np.testing.assert_allclose(found[:, [3, 6]], expected, rtol=1e-5)
    with_none = scipy.special.softmax(np.pad(LOGITS[:, [0, 1, 2, 4, 5]], ((0, 0), (0, 1))), axis=1)
    np.testing.assert_allclose(found[:, [0, 1, 2, 4, 5]], with_none[:, :5], rtol=1e-5)


def test_costs_of_groups_add_up():
    np.testing.assert_allclose(
        cost(LABELS), cost(LABELS, groups=(AGE,)) + cost(LABELS, groups=(COLOUR,)), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("age", "counts"),
    [
        ((1, 1, 0), False),
        ((0, 0, 0), False),
        ((NAN, NAN, NAN), False),
        ((0, 0, NAN), False),
        ((1, NAN, NAN), True),
        ((0.2, 0.5, 0.3), True),
        ((0.33, 0.33, 0.33), True),
        ((0.2, 0.2, 0.2), False),
    ],
)
def test_what_exactly_one_learns_from(age, counts):
    labels = LABELS.copy()
    labels[0, list(AGE.columns)] = age
    found = cost(labels, groups=(AGE,))
    assert (found[0] > 0) == counts
    np.testing.assert_array_equal(found[1:], cost(LABELS, groups=(AGE,))[1:])


@pytest.mark.parametrize(
    ("colour", "counts"),
    [((1, 1), False), ((0, 0), True), ((0, NAN), False), ((1, NAN), True), ((0.2, 0.3), True)],
)
def test_what_at_most_one_learns_from(colour, counts):
    labels = LABELS.copy()
    labels[0, list(COLOUR.columns)] = colour
    assert (cost(labels, groups=(COLOUR,))[0] > 0) == counts


def test_soft_labels_cost_their_share_of_each_answer():
    first, second = LABELS.copy(), LABELS[::-1].copy()
    mixed = cost(0.3 * first + 0.7 * second)
    np.testing.assert_allclose(mixed, 0.3 * cost(first) + 0.7 * cost(second), rtol=1e-4)


def test_smoothing_draws_towards_equal_shares():
    everywhere = sum(cost(np.eye(7, dtype=np.float32)[[c] * 6], groups=(AGE,)) for c in (1, 2, 4))
    expected = 0.9 * cost(LABELS, groups=(AGE,)) + 0.1 * everywhere / 3
    np.testing.assert_allclose(cost(LABELS, groups=(AGE,), smoothing=0.1), expected, rtol=1e-5)


def test_shares_that_nearly_sum_to_one_are_taken_as_if_they_did():
    shares = np.array([0.2, 0.5, 0.3])
    labels = [np.zeros((1, 7), np.float32) for _ in range(3)]
    for row, total in zip(labels, (1.0, 1.019, 0.981), strict=True):
        row[0, list(AGE.columns)] = shares * total
    exact, *others = (cost(row, LOGITS[:1], groups=(AGE,)) for row in labels)
    for other in others:
        np.testing.assert_allclose(other, exact, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"smoothing": 0.1}])
def test_an_image_costs_the_same_alone_as_among_others(options):
    together = cost(LABELS, **options)
    alone = [cost(LABELS[row : row + 1], LOGITS[row : row + 1], **options) for row in range(6)]
    np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-5)


def test_extreme_logits_have_finite_costs_and_gradients():
    for logits in (np.full((6, 7), 1e4), np.full((6, 7), -1e4), 1e4 * (LABELS - 0.5)):
        logits = tf.Variable(logits, dtype=tf.float32)
        labels = LABELS.copy()
        labels[1, [1, 5]] = NAN
        with tf.GradientTape() as tape:
            costs = grouped_cross_entropy(labels, logits, GROUPS, known(labels), 0.1)
        assert np.isfinite(costs).all()
        assert np.isfinite(tape.gradient(costs, logits)).all()


def test_probabilities_are_those_that_numpy_makes():
    expected = scipy.special.expit(log_odds(LOGITS, GROUPS))
    np.testing.assert_allclose(grouped_probabilities(LOGITS, GROUPS), expected, atol=1e-6)
    np.testing.assert_array_equal(grouped_probabilities(LOGITS, ()), tf.sigmoid(LOGITS))


def test_other_labels_keep_their_loss():
    ratio = np.linspace(0.1, 0.7, 7)
    weighted = losses.weighted_sigmoid_cross_entropy
    labels = LABELS.copy()
    labels[2, [3, 6]] = NAN
    loss = with_label_groups(weighted, GROUPS, 7)
    mask, own = known(labels), [3, 6]
    expected = weighted(labels[:, own], LOGITS[:, own], ratio[own], known(labels[:, own])) + cost(
        labels
    )
    np.testing.assert_allclose(loss(labels, LOGITS, ratio, mask), expected, rtol=1e-5)
    assert with_label_groups(weighted, (), 7) is weighted


def test_groups_may_hold_every_label():
    everything = (LabelGroup("all", tuple(range(7))),)
    loss = with_label_groups(losses.weighted_sigmoid_cross_entropy, everything, 7)
    labels = np.eye(7, dtype=np.float32)[:6]
    found = loss(labels, LOGITS, np.full(7, 0.5), known(labels))
    np.testing.assert_allclose(found, cost(labels, groups=everything), rtol=1e-6)
