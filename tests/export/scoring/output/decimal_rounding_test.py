"""Arrays are rounded to the decimals that Python's `round` gives."""

import numpy as np
import pytest

from export.scoring.output.decimal_rounding import round_decimals


@pytest.mark.parametrize("digits", [0, 2, 6])
def test_every_number_is_rounded_as_python_rounds_it(digits):
    generator = np.random.default_rng(0)
    whole = generator.integers(-(10**6), 10**6, 10_000)
    values = np.concatenate(
        [
            generator.normal(size=10_000) * 10.0 ** generator.integers(-8, 9, 10_000),
            (whole + 0.5) / 10**digits,  # Next to a half, and where it can be: on one.
            whole * (generator.integers(0, 40, 10_000) + 0.5) / 2000,
            [0.0, -0.0, 0.5, -0.5, 24.975, 0.49999999999999994, -0.004999999999999999, 1e200],
        ]
    )
    values = np.concatenate([values, np.nextafter(values, 0.0), np.nextafter(values, np.inf)])
    rounded = round_decimals(values, digits)
    expected = np.array([round(value, digits) for value in values.tolist()])
    np.testing.assert_array_equal(rounded, expected)
    np.testing.assert_array_equal(np.signbit(rounded), np.signbit(expected))
    if digits == 2:
        assert (np.round(values, digits) != expected).any()  # Why there is a function of our own.


def test_what_is_no_number_stays_so():
    assert np.isnan(round_decimals(np.array([np.nan]), 2)).all()
