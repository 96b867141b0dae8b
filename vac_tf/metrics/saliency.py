"""How well a saliency map predicts where people looked.

Definitions: Bylinskii, Judd, Oliva, Torralba and Durand, "What do different evaluation metrics
tell us about saliency models?", IEEE TPAMI 41(3), 2019. Point-based metrics compare a map with a
fixation mask `[H, W]` (nonzero: fixated; a pixel counts once), map-based ones with a density
`[H, W]`, the fixations blurred. Maps must have the size of the mask or density.

What a constant map gets, never an exception: `nss` 0, `cc` 0, the AUCs 0.5 (chance); `kld`, `sim`
and `information_gain` treat it, also when it is 0 everywhere, as the uniform distribution. A
metric without any fixation to score is NaN.
"""

import numpy as np
from numpy.typing import ArrayLike

from vac_tf.metrics.saliency_arrays import as_distribution, checked_map, checked_mask
from vac_tf.metrics.saliency_auc import auc_borji, auc_judd, shuffled_auc

__all__ = [
    "auc_borji",
    "auc_judd",
    "cc",
    "information_gain",
    "kld",
    "nss",
    "shuffled_auc",
    "sim",
]

# MATLAB's `eps`, the regularisation of the benchmark's programs.
_EPSILON = 2.0**-52


def nss(saliency: np.ndarray, mask: np.ndarray) -> float:
    """Normalised scanpath saliency (Peters, Iyer, Itti and Koch, 2005; Bylinskii Equation 3).

    The mean at the fixations of the map shifted and scaled to mean 0 and (population) standard
    deviation 1.

    Args:
        saliency: `[H, W]`, any finite numbers.
        mask: `[H, W]`, nonzero where fixated.

    Returns:
        Standard deviations; 0 is chance and the value of a constant map. NaN without fixations.

    Raises:
        ValueError: for arrays that are no maps, or of different shapes.
    """
    saliency = checked_map(saliency, "saliency").astype(np.float64)
    fixated = checked_mask(mask, saliency.shape, "mask")
    if not fixated.any():
        return float("nan")
    return float(_standardised(saliency)[fixated].mean())


def cc(saliency: np.ndarray, density: np.ndarray) -> float:
    """Pearson's correlation coefficient of two maps (Bylinskii Equation 5), symmetric.

    Args:
        saliency: `[H, W]`, any finite numbers.
        density: `[H, W]`, the blurred fixations.

    Returns:
        -1 to 1; 0 when either map is constant.

    Raises:
        ValueError: for arrays that are no maps, or of different shapes.
    """
    first, second = _pair(saliency, density)
    return float(np.mean(_standardised(first) * _standardised(second)))


def kld(saliency: np.ndarray, density: np.ndarray) -> float:
    """Kullback-Leibler divergence of the density from the map, in nats (Bylinskii Equation 6).

    `sum_i Q_i log(eps + Q_i / (eps + P_i))`, with both divided by their sums, P the map, Q the
    density and eps 2^-52, as in the benchmark's program.

    Args:
        saliency: `[H, W]`, not negative.
        density: `[H, W]`, not negative.

    Returns:
        0 for equal distributions (within 1e-9), larger is worse.

    Raises:
        ValueError: for arrays that are no maps, negative, or of different shapes.
    """
    first, second = _distributions(saliency, density)
    return float(np.sum(second * np.log(_EPSILON + second / (_EPSILON + first))))


def sim(saliency: np.ndarray, density: np.ndarray) -> float:
    """Similarity, the intersection of two histograms (Bylinskii Equation 4), symmetric.

    `sum_i min(P_i, Q_i)` with both maps divided by their sums. (The benchmark's program subtracts
    each map's smallest value before; the paper does not, nor do we: a density keeps its floor.)

    Args:
        saliency: `[H, W]`, not negative.
        density: `[H, W]`, not negative.

    Returns:
        0 to 1; 1 for equal distributions.

    Raises:
        ValueError: for arrays that are no maps, negative, or of different shapes.
    """
    first, second = _distributions(saliency, density)
    return float(np.minimum(first, second).sum())


def information_gain(saliency: np.ndarray, mask: np.ndarray, baseline: np.ndarray) -> float:
    """Information about the fixations beyond a baseline, in bits per fixation.

    `mean_i log2(eps + P_i) - log2(eps + B_i)` over the fixations (Kümmerer, Wallis and Bethge,
    PNAS 112(52), 2015; Bylinskii Equation 7), map and baseline divided by their sums, eps 2^-52.
    The baseline is meant to be a centre bias fitted on other images.

    Args:
        saliency: `[H, W]`, not negative.
        mask: `[H, W]`, nonzero where fixated.
        baseline: `[H, W]`, not negative.

    Returns:
        Above 0 where the map predicts the fixations better than the baseline. NaN without
        fixations.

    Raises:
        ValueError: for arrays that are no maps, negative, or of different shapes.
    """
    model, reference = _distributions(saliency, baseline, "baseline")
    fixated = checked_mask(mask, model.shape, "mask")
    if not fixated.any():
        return float("nan")
    gain = np.log2(_EPSILON + model[fixated]) - np.log2(_EPSILON + reference[fixated])
    return float(gain.mean())


def _standardised(values: np.ndarray) -> np.ndarray:
    """Mean 0, standard deviation 1; zeros for a constant map."""
    # A mean is rounded: the difference of a constant map from its mean need not be exactly 0.
    if values.min() == values.max():
        return np.zeros_like(values)
    # Scaled first: squares of tiny or huge values would leave the range of floats.
    centred = values / np.abs(values).max()
    centred = centred - centred.mean()
    deviation = centred.std()
    return centred / deviation if deviation > 0 else np.zeros_like(values)


def _pair(saliency: ArrayLike, density: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first = checked_map(saliency, "saliency").astype(np.float64)
    second = checked_map(density, "density").astype(np.float64)
    _check_shapes(first, second, "density")
    return first, second


def _distributions(
    saliency: ArrayLike, other: ArrayLike, name: str = "density"
) -> tuple[np.ndarray, np.ndarray]:
    first, second = as_distribution(saliency, "saliency"), as_distribution(other, name)
    _check_shapes(first, second, name)
    return first, second


def _check_shapes(first: np.ndarray, second: np.ndarray, name: str) -> None:
    if first.shape != second.shape:
        raise ValueError(
            f"{name} must have the shape of the saliency map, {first.shape}, got {second.shape}."
            " Resize the map to it."
        )
