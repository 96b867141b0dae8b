"""Which labels have lost the order of their scores: against loops over pairs, and at the edges."""

import itertools
import logging

import numpy as np
import pytest

from vac_tf.metrics.saturation import lost_order, warn_of_lost_order

NEXT_TO_1 = np.float32(1 - 64 * np.finfo(np.float32).eps)
BELOW_IT = np.nextafter(NEXT_TO_1, np.float32(0))


def slow(labels, scores, highest):
    def lost(column, values):
        pairs = itertools.permutations(range(len(column)), 2)
        return any(
            column[a] == 1
            and column[b] == 0
            and values[a] == values[b]
            and (values[a] == 0 or values[a] >= highest)
            for a, b in pairs
        )

    return [lost(*each) for each in zip(labels.T, scores.T, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_equals_loops_over_pairs(seed):
    generator = np.random.default_rng(seed)
    labels = generator.choice([0.0, 1.0, np.nan], (6, 9)).astype(np.float32)
    values = np.array([0.0, 1e-30, 0.5, BELOW_IT, NEXT_TO_1, 1.0], np.float32)
    scores = generator.choice(values, (6, 9))
    expected = slow(labels, scores, NEXT_TO_1)
    np.testing.assert_array_equal(lost_order(labels, scores), expected)
    # Those that float32 holds exactly are as rounded to it.
    np.testing.assert_array_equal(lost_order(labels, scores.astype(np.float64)), expected)


def test_float64_keeps_the_order_nearer_to_one():
    labels = np.array([[1.0], [0.0], [1.0]])
    scores = np.array([[1 - 1e-9], [1 - 1e-9], [0.3]])
    assert not lost_order(labels, scores).any()
    nearer = 1 - 32 * np.finfo(np.float64).eps
    assert lost_order(labels, np.array([[nearer], [nearer], [0.3]])).all()


def test_the_warning_counts_labels_names_the_first_and_gives_advice(caplog):
    labels = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    scores = np.array([[0.7, 0.0, 1.0], [0.7, 0.0, 1.0]])
    with caplog.at_level(logging.WARNING):
        warn_of_lost_order(labels, scores, ["car", "bus", "dog"], "Keep logits.")
    (record,) = caplog.records
    assert "of 2 of 3 labels, such as 'bus'" in record.getMessage()
    assert record.getMessage().endswith("Keep logits.")


def test_one_lost_label_is_enough_for_the_warning_and_none_gives_none(caplog):
    labels, scores = np.array([[1.0], [0.0]]), np.array([[1.0], [1.0]])
    warn_of_lost_order(labels, scores / 2, ["car"], "")
    assert not caplog.records
    warn_of_lost_order(labels, scores, ["car"], "")
    assert len(caplog.records) == 1
