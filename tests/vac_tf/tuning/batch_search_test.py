"""Doubling and bisecting against trying every size."""

import pytest

from vac_tf.tuning.batch_search import largest_fitting


def search(limit, first, most, unit=1, precision=0.0):
    tried = []

    def fits(size):
        tried.append(size)
        return size <= limit

    return largest_fitting(fits, first, most, unit, precision), tried


@pytest.mark.parametrize("unit", [1, 3, 4])
@pytest.mark.parametrize("first", [1, 4, 9])
def test_it_is_the_largest_multiple_that_fits(unit, first):
    for limit in range(0, 40):
        for most in range(unit, 50, 7):
            found, tried = search(limit, first * unit, most, unit)
            assert found == min(limit, most) // unit * unit
            assert len(tried) == len(set(tried)), "A size was tried twice."
            assert all(0 < size <= most and size % unit == 0 for size in tried)


def test_few_sizes_are_tried_and_none_far_over_the_limit():
    found, tried = search(10_000, 32, 2**20, precision=1 / 16)
    assert 10_000 / (1 + 1 / 16) <= found <= 10_000
    assert len(tried) < 16 and max(tried) < 20_000


def test_nothing_may_fit():
    assert search(0, 32, 64) == (0, [32, 16, 8, 4, 2, 1])
