"""Confusions of labels: planted ones are found, by chance there are none, unknown is no error."""

import numpy as np
import pytest

from vac_tf.report.confusions import confusion_matrix, taken_for, wrong_together


@pytest.fixture
def planted():
    """Ten images whose cat (0) is taken for a dog (1), thirty without any error."""
    judged = np.zeros((40, 4), np.float32)
    judged[:10, 0] = 1
    judged[10:20, 2] = 1
    decided = judged == 1
    decided[:10, 0], decided[:10, 1] = False, True
    return judged, decided


def test_a_planted_confusion_is_the_one_that_is_found(planted):
    (pair,) = taken_for(*planted)
    assert (pair.first, pair.second, pair.images, pair.expected, pair.lift) == (0, 1, 10, 2.5, 4.0)
    (both,) = wrong_together(*planted)
    assert (both.first, both.second, both.images) == (0, 1, 10)
    labels, rows = confusion_matrix(*planted)
    assert sorted(labels) == [0, 1]
    assert rows[labels.index(0)][labels.index(1)] == 10 == np.sum(rows)


def test_no_error_no_pair(planted):
    judged, _ = planted
    assert taken_for(judged, judged == 1) == wrong_together(judged, judged == 1) == []
    assert confusion_matrix(judged, judged == 1) == ([], [])


def test_unknown_labels_are_no_errors(planted):
    judged, decided = planted
    judged[:, 1] = np.nan
    assert taken_for(judged, decided) == wrong_together(judged, decided) == []


def test_pairs_exceed_chance_and_fall():
    generator = np.random.default_rng(0)
    judged = (generator.random((300, 8)) < 0.4).astype(np.float32)
    decided = generator.random(judged.shape) < 0.4
    for pairs in (taken_for(judged, decided), wrong_together(judged, decided)):
        excess = [pair.images - pair.expected for pair in pairs]
        assert excess == sorted(excess, reverse=True) and min(excess) > 0
        assert all(pair.first != pair.second for pair in pairs)
