"""Areas under the ROC curve of saliency maps: Judd's, Borji's, and the shuffled one.

A map is read as a classifier of pixels: fixated or not. The three differ in what they take for
negatives. The benchmark breaks ties (8-bit maps are full of them) by a random jitter; here every
score is the expectation over that jitter, so equal maps get equal scores. Source of the
definitions: Bylinskii, Judd, Oliva, Torralba and Durand, "What do different evaluation metrics tell
us about saliency models?", IEEE TPAMI 41(3), 2019, Section 4.1, and the MATLAB programs of their
benchmark.

All functions take saliency `[H, W]` (any finite numbers: only their order counts) and a fixation
mask `[H, W]` (nonzero: fixated; a pixel counts once), and return a float in 0..1. A constant map
gives 0.5, chance; a mask without fixations (or without anything else) gives NaN.
"""

import numpy as np

from vac_tf.metrics.saliency_arrays import checked_map, checked_mask


def auc_judd(saliency: np.ndarray, mask: np.ndarray) -> float:
    """AUC whose negatives are all pixels that are not fixated (Judd, Durand and Torralba, 2012).

    The thresholds are the values at the P fixated pixels, one each; between them the curve is
    straight, and it ends in (0, 0) and (1, 1). So a negative that k of them exceed adds
    (k + 1/2) / P, or 1 when all do. Negatives that tie with e fixated pixels exceed any number of
    these with equal probability, as under the jitter of the benchmark's AUC_Judd.m. A constant
    map is 0.5 by definition (the jitter would give 1/2 + 1/(2 (P + 1))).

    Args:
        saliency: `[H, W]`, any finite numbers: only their order counts.
        mask: `[H, W]`, nonzero where fixated; a pixel counts once.

    Returns:
        0 to 1; 0.5 is chance. NaN where no pixel or every pixel is fixated.

    Raises:
        ValueError: for arrays that are no maps, or of different shapes.
    """
    saliency = checked_map(saliency, "saliency")
    fixated = checked_mask(mask, saliency.shape, "mask")
    positives, negatives = saliency[fixated], saliency[~fixated]
    if not positives.size or not negatives.size:
        return float("nan")
    if saliency.min() == saliency.max():
        return 0.5
    ordered = np.sort(positives)
    below = np.searchsorted(ordered, negatives, side="left")
    tied = np.searchsorted(ordered, negatives, side="right") - below
    above = positives.size - below - tied
    # Below all of them: surely, or in one of the e + 1 places among the ties that are the lowest.
    is_lowest = np.where(below == 0, 1 / (tied + 1), 0.0)
    areas = above + tied / 2 + (1 - is_lowest) / 2
    return float(areas.mean() / positives.size)


def auc_borji(saliency: np.ndarray, mask: np.ndarray, seed: int = 0, splits: int = 100) -> float:
    """AUC whose negatives are pixels drawn at random (Borji, Tavakoli, Sihite and Itti, 2013).

    Every split draws, with replacement and from the whole image, as many pixels as are fixated;
    the result is the mean over the splits. All thresholds are used: the steps of 0.1 of the
    MATLAB program would round the score of peaked maps.

    Args:
        saliency: `[H, W]`, any finite numbers: only their order counts.
        mask: `[H, W]`, nonzero where fixated; a pixel counts once.
        seed: equal seeds draw equal pixels.
        splits: number of draws.

    Returns:
        0 to 1; 0.5 is chance. NaN without fixations.

    Raises:
        ValueError: for arrays that are no maps, or of different shapes.
    """
    saliency = checked_map(saliency, "saliency")
    positives = saliency[checked_mask(mask, saliency.shape, "mask")]
    if not positives.size:
        return float("nan")
    generator = np.random.default_rng(seed)
    drawn = generator.integers(saliency.size, size=(splits, positives.size))
    return _mean_area(positives, saliency.ravel()[drawn])


def shuffled_auc(
    saliency: np.ndarray,
    mask: np.ndarray,
    other_mask: np.ndarray,
    seed: int = 0,
    splits: int = 100,
) -> float:
    """AUC whose negatives are fixations on other images (Zhang et al., 2008; Borji et al., 2013).

    A map that only knows where people look on any image scores 0.5. Every split draws, without
    replacement, as many of the other fixations as there are fixated pixels, or all of them where
    there are fewer; the result is the mean over the splits.

    Args:
        saliency: `[H, W]`, any finite numbers: only their order counts.
        mask: `[H, W]`, nonzero where fixated; a pixel counts once.
        other_mask: `[H, W]`, number of fixations of other images on each pixel (a boolean mask
            will do: each pixel once).
        seed: equal seeds draw equal fixations.
        splits: number of draws.

    Returns:
        0 to 1; 0.5 is chance. NaN without fixations, on this image or on others.

    Raises:
        ValueError: for arrays that are no maps, or of different shapes.
    """
    saliency = checked_map(saliency, "saliency")
    positives = saliency[checked_mask(mask, saliency.shape, "mask")]
    others = checked_map(np.asarray(other_mask, np.float64), "other_mask")
    checked_mask(others, saliency.shape, "other_mask")
    counts = np.rint(np.maximum(others, 0)).astype(np.int64).ravel()
    pool = np.repeat(saliency.ravel(), counts)
    if not positives.size or not pool.size:
        return float("nan")
    generator = np.random.default_rng(seed)
    size = min(positives.size, pool.size)
    drawn = [generator.choice(pool.size, size, replace=False, shuffle=False) for _ in range(splits)]
    return _mean_area(positives, pool[np.stack(drawn)])


def _mean_area(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Mean over splits of P(positive > negative) + P(equal) / 2; negatives are `[splits, n]`."""
    ordered = np.sort(positives)
    above = ordered.size - np.searchsorted(ordered, negatives, side="right")
    at_least = ordered.size - np.searchsorted(ordered, negatives, side="left")
    return float(np.mean(above + at_least) / (2 * ordered.size))
