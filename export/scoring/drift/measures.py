"""How far the scores of some images are from those of others, and how far chance alone takes them.

Population stability index: Siddiqi, "Credit Risk Scorecards", 2006; sum of (p - q) ln(p / q).
Jensen-Shannon divergence: Lin, IEEE Transactions on Information Theory 37, 1991; in bits, 0 to 1.
"""

import dataclasses

import numpy as np

DRAWS = 200
DRAWS_OF_MANY_LABELS = 100  # Above 2000 labels, where the draws take seconds.
_MANY_LABELS = 2000
LIMIT = 0.99  # Share of draws without drift that lie below a limit.
_LABELS_AT_ONCE = 256  # The draws of these take some 12 MB.


@dataclasses.dataclass(frozen=True)
class Chance:
    """What the index of samples without any drift is.

    Attributes:
        expected: Its mean, float64 `[L]`.
        limit: Where 99 % of samples lie below, float64 `[L]`.
    """

    expected: np.ndarray
    limit: np.ndarray


def population_stability_index(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """The index of two histograms each, float64 `[...]`.

    An image that is spread over the bins as both samples together are is added to each: so a bin
    that is empty in one sample has a finite share, and one that is empty in both adds nothing.

    Args:
        reference: Counts `[..., bins]`.
        current: Counts of other images.
    """
    pooled = _shares(reference + current)
    first, second = (
        (counts + pooled) / (counts.sum(axis=-1, keepdims=True) + 1.0)
        for counts in (reference, current)
    )
    ratio = np.divide(first, second, out=np.ones_like(first), where=pooled > 0.0)
    return ((first - second) * np.log(ratio)).sum(axis=-1)


def jensen_shannon_divergence(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """The divergence of two histograms each in bits, float64 `[...]`; arguments as above."""
    first, second = _shares(reference), _shares(current)
    middle = (first + second) / 2.0
    return (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2.0


def chance(reference: np.ndarray, current: np.ndarray, seed: int = 0) -> Chance:
    """The index of pairs of samples of the same sizes that both come from one distribution.

    That of both samples together is taken for it, and samples are drawn from it: with few images
    no formula holds. The images of a sample are taken as drawn one by one; of frames of a video
    there are fewer than it seems, and chance does more.

    Args:
        reference: Counts `[L, bins]`.
        current: Counts of other images.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    pooled = _shares(reference + current)
    sizes = int(reference[0].sum()), int(current[0].sum())
    draws = DRAWS if len(pooled) <= _MANY_LABELS else DRAWS_OF_MANY_LABELS
    expected, limits = [], []
    for first in range(0, len(pooled), _LABELS_AT_ONCE):
        shares = pooled[first : first + _LABELS_AT_ONCE]
        pairs = [generator.multinomial(size, shares, (draws, len(shares))) for size in sizes]
        drawn = population_stability_index(*pairs)
        expected.append(drawn.mean(axis=0))
        limits.append(np.quantile(drawn, LIMIT, axis=0))
    return Chance(np.concatenate(expected), np.concatenate(limits))


def _shares(counts: np.ndarray) -> np.ndarray:
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return shares.astype(np.float64)


def _relative_entropy(shares: np.ndarray, others: np.ndarray) -> np.ndarray:
    ratio = np.divide(shares, others, out=np.ones_like(shares), where=shares > 0.0)
    return (shares * np.log2(ratio)).sum(axis=-1)
