"""The bootstrap: every resample draws as many as there are, alike, and whole groups together."""

import numpy as np
import pytest

from vac_tf.metrics.bootstrap import percentile_interval, resample_counts


def counts_of(*arguments):
    return np.concatenate(list(resample_counts(*arguments)), axis=1)


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 600])
def test_there_are_as_many_resamples_as_asked_for_and_each_draws_all_images(samples):
    chunks = list(resample_counts(7, samples, 0))
    assert [chunk.shape[1] for chunk in chunks[:-1]] == [256] * (len(chunks) - 1)
    counts = np.concatenate(chunks, axis=1)
    assert counts.shape == (7, samples) and counts.dtype == np.float32
    np.testing.assert_array_equal(counts.sum(axis=0), 7.0)


def test_every_image_is_drawn_alike_and_with_replacement():
    counts = counts_of(10, 4000, 1)
    # Binomial with 10 draws of probability 1/10: mean 1, variance 0.9.
    np.testing.assert_allclose(counts.mean(axis=1), 1.0, atol=0.06)
    np.testing.assert_allclose(counts.var(axis=1), 0.9, atol=0.12)


def test_equal_seeds_draw_alike_and_others_do_not():
    np.testing.assert_array_equal(counts_of(20, 300, 5), counts_of(20, 300, 5))
    assert (counts_of(20, 300, 5) != counts_of(20, 300, 6)).any()
    first, second = (chunk[:, :44] for chunk in resample_counts(20, 300, 5))
    assert (first != second).any()


def test_images_of_a_group_are_drawn_together_and_all_groups_can_be():
    groups = np.array([0, 2, 1, 2, 0])
    counts = counts_of(5, 400, 3, groups)
    np.testing.assert_array_equal(counts[[0, 1]], counts[[4, 3]])
    np.testing.assert_array_equal(counts[[0, 2, 1]].sum(axis=0), 3.0)
    np.testing.assert_array_equal(counts[[0, 2, 1]], counts_of(3, 400, 3))


def test_the_interval_leaves_a_fortieth_out_on_either_side():
    draws = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert percentile_interval(draws) == pytest.approx((25.0, 975.0))
    with_holes = np.append(draws, [np.nan] * 500)
    assert percentile_interval(with_holes) == percentile_interval(draws)
    assert percentile_interval(np.array([3.0])) == (3.0, 3.0)
    assert percentile_interval(np.array([np.nan])) is None
    assert percentile_interval(np.array([])) is None
