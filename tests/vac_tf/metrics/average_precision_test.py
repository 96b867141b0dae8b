"""Average precision: against scikit-learn and slow loops, and by its properties."""

import numpy as np
import pytest
import sklearn.metrics

from vac_tf.metrics.average_precision import (
    CONVENTIONS,
    average_precision,
    average_precision_per_label,
)


def random_case(seed):
    """A label vector and scores with many ties; sometimes without positives or negatives."""
    random = np.random.default_rng(seed)
    size = random.integers(1, 40)
    labels = (random.random(size) < random.choice([0.0, 0.1, 0.5, 1.0])).astype(np.float32)
    labels[random.random(size) < random.choice([0.0, 0.3])] = np.nan
    levels = random.choice([1, 3, 10, 100_000])
    return labels, random.integers(0, levels + 1, size) / levels


def precision_recall_points(labels, scores):
    """(precision, hits) at every distinct threshold, highest first, by counting."""
    points = []
    for threshold in sorted(set(scores), reverse=True):
        taken = [label for label, score in zip(labels, scores, strict=True) if score >= threshold]
        points.append((sum(taken) / len(taken), int(sum(taken))))
    return points


def slow_voc12(labels, scores):
    points = precision_recall_points(labels, scores)
    total, before = 0.0, 0
    for index, (_, hits) in enumerate(points):
        total += (hits - before) * max(precision for precision, _ in points[index:])
        before = hits
    return total / sum(labels)


def slow_voc07(labels, scores):
    points = precision_recall_points(labels, scores)
    positives = int(sum(labels))
    return np.mean(
        [
            max(precision for precision, hits in points if 10 * hits >= tenth * positives)
            for tenth in range(11)
        ]
    )


@pytest.mark.filterwarnings("ignore:No positive class")
def test_step_equals_scikit_learn_on_1000_cases():
    compared = 0
    for seed in range(1000):
        labels, scores = random_case(seed)
        known = ~np.isnan(labels)
        ours = average_precision(labels, scores)
        if not np.any(labels == 1):
            assert np.isnan(ours)
            continue
        theirs = sklearn.metrics.average_precision_score(labels[known], scores[known])
        assert ours == pytest.approx(theirs, abs=1e-12), seed
        compared += 1
    assert compared > 500


@pytest.mark.parametrize("convention, slow", [("voc12", slow_voc12), ("voc07", slow_voc07)])
def test_voc_conventions_equal_slow_loops(convention, slow):
    for seed in range(300):
        labels, scores = random_case(seed)
        known = ~np.isnan(labels)
        if np.any(labels == 1):
            expected = slow(labels[known].tolist(), scores[known].tolist())
            assert average_precision(labels, scores, convention) == pytest.approx(expected), seed


def test_conventions_on_a_case_worked_by_hand():
    labels, scores = [1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6]
    assert average_precision(labels, scores, "step") == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(labels, scores, "voc12") == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(labels, scores, "voc07") == pytest.approx((6 + 5 * 2 / 3) / 11)
    # The envelope lifts the second positive from 1/2 to 2/3.
    labels, scores = [0, 1, 1], [0.9, 0.8, 0.7]
    assert average_precision(labels, scores, "step") == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(labels, scores, "voc12") == pytest.approx(2 / 3)


def test_voc07_meets_recalls_that_floating_point_would_miss():
    # 3 of 10 positives first: the precision 1 must count at recalls 0, 0.1, 0.2 and 0.3.
    labels = [1] * 3 + [0] * 90 + [1] * 7
    last = 10 / 100
    expected = (4 + 7 * last) / 11
    assert average_precision(labels, -np.arange(100), "voc07") == pytest.approx(expected)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_all_labels_at_once_equal_one_at_a_time(convention):
    random = np.random.default_rng(7)
    labels = random.choice([0, 1, np.nan], size=(50, 12), p=[0.6, 0.2, 0.2])
    labels[:, 3] = 0
    scores = random.integers(0, 9, (50, 12)) / 8
    together = average_precision_per_label(labels, scores, convention)
    one_by_one = [
        average_precision(labels[:, index], scores[:, index], convention) for index in range(12)
    ]
    np.testing.assert_array_equal(together, one_by_one)
    assert np.flatnonzero(np.isnan(together)).tolist() == [3]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_order_of_images_and_scale_of_scores_do_not_matter(convention):
    random = np.random.default_rng(3)
    labels, scores = random.integers(0, 2, 60), random.integers(0, 6, 60) / 5
    expected = pytest.approx(average_precision(labels, scores, convention), rel=1e-12)
    order = random.permutation(60)
    assert average_precision(labels[order], scores[order], convention) == expected
    assert average_precision(labels, 30 * scores - 12, convention) == expected


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_perfect_ranking_is_one_and_equal_scores_give_the_positive_ratio(convention):
    labels = np.array([0, 1, 1, 0, 0, 1, 0, 0])
    assert average_precision(labels, labels * 0.3, convention) == pytest.approx(1)
    assert average_precision(labels, np.full(8, 0.4), convention) == pytest.approx(3 / 8)


@pytest.mark.parametrize(
    "labels, scores, message",
    [
        ([0, 1], [0.1], r"shape \(2,\) and scores of shape \(1,\)"),
        ([[0, 1]], [[0.1, 0.2]], "average_precision_per_label"),
        ([0, 2], [0.1, 0.2], "row 1, column 0 is 2.0"),
        ([0, 1], [0.1, np.nan], "score at row 1, column 0 is NaN"),
    ],
)
def test_bad_input_is_named(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        average_precision(labels, scores)


def test_unknown_convention_lists_the_known_ones():
    with pytest.raises(ValueError, match="'voc2012'.*step, voc12, voc07"):
        average_precision([0, 1], [0.1, 0.2], "voc2012")


def test_no_images_is_nan():
    assert np.isnan(average_precision([], []))


@pytest.mark.parametrize("label", [-1.0, 0.5, 1.5, 2.0])
def test_labels_that_are_neither_0_nor_1_are_refused(label):
    with pytest.raises(ValueError, match=rf"row 1, column 0 is {label}. Expected 0, 1 or"):
        average_precision([0, label, np.nan], [0.1, 0.2, 0.3])
