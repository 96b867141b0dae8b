"""Rounds arrays to decimals as Python rounds a number."""

import numpy as np

_SPLIT = 2.0**27 + 1.0  # Veltkamp's: parts a float64 into two of 26 bits.


def round_decimals(values: np.ndarray, digits: int) -> np.ndarray:
    """The nearest number with so many decimals, as Python's `round` finds it; float64.

    `np.round` looks at the product with `10**digits`, which is rounded itself, and so makes 24.975
    (as a float a little more than that) 24.97, where Python makes it 24.98. Here the error of the
    product is computed exactly (Dekker, Numerische Mathematik 18, 1971) and decides next to a half.

    Args:
        values: float, of any shape. NaN stays as it is, and so does what is above
            `2**52 / 10**digits`, where a float64 has hardly more decimals.
        digits: Decimals, at most 11: `5**11` has 26 bits.
    """
    size, scale = np.abs(values, dtype=np.float64), 10.0**digits
    product = size * scale
    high = size * _SPLIT
    high -= high - size
    error = (high * scale - product) + (size - high) * scale
    whole = np.floor(product)
    excess = (product - whole - 0.5) + error
    whole += (excess > 0.0) | ((excess == 0.0) & (whole % 2.0 == 1.0))
    rounded = np.where(product < 2.0**52, whole / scale, size)
    return np.copysign(rounded, values)
