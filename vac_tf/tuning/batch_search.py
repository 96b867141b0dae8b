"""The largest size that fits, by doubling and bisecting."""

from collections.abc import Callable


def largest_fitting(
    fits: Callable[[int], bool], first: int, most: int, unit: int = 1, precision: float = 1 / 16
) -> int:
    """The largest size that fits, as far as it was looked for; 0 where none does.

    Larger ones are taken not to fit where a smaller one does not.

    Args:
        fits: whether a size fits; called with every size once.
        first: the size to begin with, a multiple of `unit`.
        most: the largest size to try, at least `unit`.
        unit: sizes are multiples of it.
        precision: the search ends where the next size that does not fit is at most one unit, or
            this part of the found one, away.
    """
    most = most // unit * unit
    good, size = 0, min(first, most)
    while fits(size):
        good = size
        if size == most:
            return good
        size = min(2 * size, most)
    bad = size
    while bad - good > max(unit, precision * good):
        size = (good + bad) // 2 // unit * unit
        size = good + unit if size <= good else size
        if fits(size):
            good = size
        else:
            bad = size
    return good
