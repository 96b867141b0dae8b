"""The small pieces of an evaluation, where something is undefined or 0."""

import numpy as np
import pytest

from vac_tf.metrics.multilabel_arrays import (
    check_arrays,
    check_ranking,
    harmonic_mean,
    mean,
    plain,
    ratio,
)


def test_a_harmonic_mean_needs_both_and_is_0_of_zeros():
    assert harmonic_mean(None, 0.5) is None and harmonic_mean(0.5, None) is None
    assert harmonic_mean(0.0, 0.0) == 0.0 and harmonic_mean(0.0, 1.0) == 0.0
    assert harmonic_mean(0.25, 0.75) == pytest.approx(0.375)


def test_a_ratio_is_0_where_nothing_is_counted():
    found = ratio(np.array([0, 3, 1]), np.array([0, 4, 1]))
    np.testing.assert_array_equal(found, [0.0, 0.75, 1.0])
    assert found.dtype == np.float64


def test_means_and_numbers_of_nothing_are_none():
    assert mean(np.array([])) is None and mean(np.array([1.0, 2.0])) == 1.5
    assert plain(float("nan")) is None and plain(np.float32(0.5)) == 0.5


@pytest.mark.parametrize(
    ("value", "is_score"), [(0.0, True), (1.0, True), (-1e-3, False), (1.001, False)]
)
def test_scores_are_probabilities_the_ends_included(value, is_score):
    labels, scores = np.zeros((2, 2)), np.full((2, 2), 0.5)
    scores[1, 0] = value
    if is_score:
        assert check_arrays(labels, scores)[2] == ("0", "1")
    else:
        with pytest.raises(ValueError, match="score of row 1, label '0'.* 1 values are wrong"):
            check_arrays(labels, scores)


@pytest.mark.parametrize("shape", [(0, 2), (2, 0)])
def test_nothing_to_evaluate_is_refused(shape):
    with pytest.raises(ValueError, match="at least one image and one label"):
        check_arrays(np.zeros(shape), np.zeros(shape))


def test_repeated_names_are_told_once():
    with pytest.raises(ValueError, match="occur twice: a, c. Expected"):
        check_arrays(np.zeros((1, 5)), np.zeros((1, 5)), ["c", "a", "a", "c", "b"])


def test_a_ranking_may_be_any_numbers_but_nan():
    ranking = np.array([[-3, 0], [5, 7]])
    assert check_ranking(ranking, (2, 2)).dtype == np.float64
    assert check_ranking(ranking.astype(np.float16), (2, 2)).dtype == np.float32
    with pytest.raises(ValueError, match="row 1, column 0 is NaN"):
        check_ranking(np.array([[0.0, 1.0], [np.nan, np.nan]]), (2, 2))
    with pytest.raises(ValueError, match=r"ranking of shape \(2, 2\)"):
        check_ranking(ranking, (2, 3))
