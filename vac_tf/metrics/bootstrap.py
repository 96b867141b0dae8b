"""The bootstrap over images: resamples, and the percentile intervals of what they give.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, Chapter 13. NumPy only.
"""

from collections.abc import Iterator

import numpy as np

CONFIDENCE = 0.95
_CHUNK = 256  # Resamples at once: one chunk of 40,000 images takes 40 MB.


def resample_counts(
    num_images: int, samples: int, seed: int, groups: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """How often each image is drawn, float32 `[N, S']` in chunks of resamples; S in all.

    With `groups`, the number 0, 1, ... of the person, video or patient of each image `[N]`, whole
    groups are drawn: images of one group are no independent evidence.
    """
    if groups is not None:
        for counts in resample_counts(int(groups.max()) + 1, samples, seed):
            yield counts[groups]
        return
    generator = np.random.default_rng(seed)
    for first in range(0, samples, _CHUNK):
        counts = np.empty((num_images, min(_CHUNK, samples - first)), np.float32)
        for column in counts.T:
            drawn = generator.integers(num_images, size=num_images)
            column[:] = np.bincount(drawn, minlength=num_images)
        yield counts


def percentile_interval(draws: np.ndarray) -> tuple[float, float] | None:
    """`low` and `high` between which 95 % of the draws `[S]` lie; those that are NaN are left out.

    None where none is left.
    """
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return None
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(draws, (tail, 100 - tail))
    return float(low), float(high)
