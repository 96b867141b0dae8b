"""All saliency metrics of one image, and their means over images."""

import math

import numpy as np

from vac_tf.metrics import saliency as saliency_metrics

# Name -> whether higher is better.
METRICS = {
    "nss": True,
    "cc": True,
    "kld": False,
    "sim": True,
    "auc_judd": True,
    "auc_borji": True,
    "shuffled_auc": True,
    "information_gain": True,
}


def score_image(
    saliency: np.ndarray,
    counts: np.ndarray,
    density: np.ndarray,
    other_counts: np.ndarray,
    baseline: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Every metric of one map.

    Args:
        saliency: `[H, W]`, not negative.
        counts: `[H, W]`, number of fixations on each pixel; a pixel is scored once.
        density: `[H, W]`, the blurred fixations.
        other_counts: `[H, W]`, fixations of other images.
        baseline: `[H, W]`, the centre bias for the information gain; None: without it.
        seed: of the drawn negatives.

    Returns:
        name of the metric -> value; NaN where undefined.
    """
    scores = {
        "nss": saliency_metrics.nss(saliency, counts),
        "cc": saliency_metrics.cc(saliency, density),
        "kld": saliency_metrics.kld(saliency, density),
        "sim": saliency_metrics.sim(saliency, density),
        "auc_judd": saliency_metrics.auc_judd(saliency, counts),
        "auc_borji": saliency_metrics.auc_borji(saliency, counts, seed),
        "shuffled_auc": saliency_metrics.shuffled_auc(saliency, counts, other_counts, seed),
    }
    if baseline is not None:
        scores["information_gain"] = saliency_metrics.information_gain(saliency, counts, baseline)
    return scores


def mean_scores(rows: list[dict[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """Mean and standard error over images, of each metric where it is defined.

    Returns:
        name -> `mean`, `standard_error` (None where too few images) and `images`.
    """
    summary = {}
    for name in rows[0] if rows else ():
        values = np.array([row[name] for row in rows])
        values = values[~np.isnan(values)]
        error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
        summary[name] = {
            "mean": float(values.mean()) if len(values) else None,
            "standard_error": None if error is None else float(error),
            "images": len(values),
        }
    return summary
