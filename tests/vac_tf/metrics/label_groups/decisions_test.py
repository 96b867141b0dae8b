"""Probabilities and decisions of label groups: against SciPy's softmax, and properties."""

import numpy as np
import scipy.special

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.metrics.label_groups.decisions import decide, distance_to_other_decision, log_odds

AGE, COLOUR = LabelGroup("age", (1, 2, 4)), LabelGroup("colour", (0, 5), at_most_one=True)
GROUPS = (AGE, COLOUR)
LOGITS = np.random.default_rng(0).normal(0, 4, (50, 7)).astype(np.float32)


def test_the_sigmoid_of_the_log_odds_is_the_softmax():
    probabilities = scipy.special.expit(log_odds(LOGITS, GROUPS))
    np.testing.assert_allclose(
        probabilities[:, [1, 2, 4]], scipy.special.softmax(LOGITS[:, [1, 2, 4]], axis=1), atol=1e-6
    )
    with_none = np.pad(LOGITS[:, [0, 5]], ((0, 0), (0, 1)))
    np.testing.assert_allclose(
        probabilities[:, [0, 5]], scipy.special.softmax(with_none, axis=1)[:, :2], atol=1e-6
    )
    np.testing.assert_array_equal(log_odds(LOGITS, GROUPS)[:, [3, 6]], LOGITS[:, [3, 6]])


def test_without_groups_the_logits_are_the_very_same():
    assert log_odds(LOGITS, ()) is LOGITS
    probabilities = scipy.special.expit(LOGITS)
    np.testing.assert_array_equal(decide(probabilities, 0.5, ()), probabilities > np.float32(0.5))


def test_large_logits_stay_finite_and_in_order():
    odds = log_odds(np.array([[1e4, 0, -1e4]], np.float32), (LabelGroup("all", (0, 1, 2)),))
    assert np.isfinite(odds).all() and odds[0, 0] > odds[0, 1] > odds[0, 2]


def test_one_label_of_a_group_is_decided_or_at_most_one():
    probabilities = scipy.special.expit(log_odds(LOGITS, GROUPS))
    thresholds = np.full(7, 0.6, np.float32)
    decided = decide(probabilities, thresholds, GROUPS)
    assert (decided[:, [1, 2, 4]].sum(axis=1) == 1).all()
    assert set(decided[:, [0, 5]].sum(axis=1)) == {0, 1}
    np.testing.assert_array_equal(decided[:, [3, 6]], (probabilities > thresholds)[:, [3, 6]])
    best = probabilities[:, [0, 5]].argmax(axis=1)
    assert (decided[:, [0, 5]].argmax(axis=1) == best)[decided[:, [0, 5]].any(axis=1)].all()


def test_of_equal_probabilities_the_first_label_is_decided():
    decided = decide(np.full((1, 3), 1 / 3), 0.5, (LabelGroup("all", (0, 1, 2)),))
    assert decided.tolist() == [[True, False, False]]


def test_smaller_changes_than_the_distance_decide_nothing_otherwise():
    random = np.random.default_rng(1)
    probabilities = scipy.special.expit(log_odds(LOGITS, GROUPS)).astype(np.float64)
    thresholds = np.full(7, 0.5)
    distance = distance_to_other_decision(probabilities, thresholds, GROUPS)
    before = decide(probabilities, thresholds, GROUPS)
    for _ in range(20):
        # What every probability of an image moves by, less than all the distances of the image.
        room = 0.999 * distance.min(axis=1, keepdims=True)
        moved = probabilities + room * random.uniform(-1, 1, probabilities.shape)
        np.testing.assert_array_equal(decide(moved, thresholds, GROUPS), before)


def test_the_distance_is_that_to_the_threshold_and_half_of_that_to_the_rival():
    probabilities = np.array([[0.7, 0.2, 0.1, 0.55, 0.3, 0.9]])
    groups = (LabelGroup("one", (0, 1, 2)), LabelGroup("none", (3, 4), at_most_one=True))
    distance = distance_to_other_decision(probabilities, np.full(6, 0.5), groups)
    np.testing.assert_allclose(distance, [[0.25, 0.25, 0.3, 0.05, 0.125, 0.4]], atol=1e-12)
