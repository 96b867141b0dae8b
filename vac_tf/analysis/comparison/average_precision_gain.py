"""What one model's average precision gains over another's, label by label.

Luo et al., "Visual Attention in Multi-Label Image Classification", 2019, Section 5.4; the
intervals are not in the paper.
"""

import math
from collections.abc import Sequence

import numpy as np

from vac_tf.analysis.comparison.weighted_average_precision import LabelRanking
from vac_tf.analysis.correlation import correlate
from vac_tf.metrics.average_precision import average_precision_per_label
from vac_tf.metrics.bootstrap import CONFIDENCE, percentile_interval, resample_counts

# Of two equally good models the interval of a label with one positive image excludes 0 in 70 to 93
# of 100 cases, with two in 33 to 51, with three in 14 to 23, with five in 6 to 13.
LEAST_POSITIVES = 5
_ROUNDING = 1e-12  # Rankings of equal average precision may differ by this much.


def compare_average_precision(
    labels: np.ndarray,
    baseline_scores: np.ndarray,
    scores: np.ndarray,
    label_names: Sequence[str],
    samples: int = 1000,
    seed: int = 0,
    units: np.ndarray | None = None,
) -> dict:
    """Differences of average precision ("step"), with percentile bootstrap intervals over images.

    Both models are evaluated on the same resamples (N images, or whole units of them, drawn with
    replacement). A resample
    without a positive of a label is left out for that label, and the label leaves that resample's
    mAP. A label with fewer than `LEAST_POSITIVES` positive images has no interval: its few images
    cannot show how much others would differ.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (unknown).
        baseline_scores: `[N, L]`, higher means more likely.
        scores: `[N, L]` of the other model.
        label_names: L names.
        samples: number of resamples, at least 1.
        seed: of the resamples.
        units: `[N]`, `Split.unit_numbers`: images of one person, say, which are drawn together.

    Returns:
        A dict that `json.dump` takes. Differences are the model's value minus the baseline's,
        intervals `[low, high]` hold 95 % of the resamples' differences:

        * `labels`: by falling difference, `label` (index), `name`, `positives` (images),
          `baseline_average_precision`, `average_precision`, `difference`, `interval` (None for
          too few positives), `resamples_left_out`;
        * `labels_without_positives`: names of those not in `labels`;
        * `mAP`: `baseline`, `model`, `difference`, `interval`; None all four without any positive;
        * `improved`, `worsened`, `unchanged`: numbers of labels; `improved_beyond_interval` and
          `worsened_beyond_interval`: of those whose interval excludes 0; `without_interval`;
        * `images`, `samples`, `seed`, `confidence`.

    Raises:
        ValueError: shapes that do not fit, or fewer than one resample.
    """
    labels = np.asarray(labels, np.float32)
    models = [np.asarray(baseline_scores), np.asarray(scores)]
    _check(labels, label_names, samples)
    values = np.stack([average_precision_per_label(labels, model) for model in models])
    resampled = _resampled_differences(labels, models, samples, seed, units)
    rows = [
        _row(label, label_names[label], labels[:, label], values[:, label], resampled[:, label])
        for label in np.flatnonzero(~np.isnan(values[0]))
    ]
    rows.sort(key=lambda row: -row["difference"])
    evaluated = {row["label"] for row in rows}
    return {
        "labels": rows,
        "labels_without_positives": [
            name for label, name in enumerate(label_names) if label not in evaluated
        ],
        "mAP": _mean_average_precision(values, resampled),
        **_counts(rows),
        "images": len(labels),
        "samples": samples,
        "seed": seed,
        "confidence": CONFIDENCE,
    }


def gain_correlations(
    differences: Sequence[float | None],
    mean_area: Sequence[float | None],
    mean_saliency: Sequence[float | None] | None = None,
    label_names: Sequence[str] | None = None,
) -> dict:
    """Correlates the gain of each label with the size and the saliency of its objects.

    Args:
        differences: of average precision, `[L]`, None where undefined.
        mean_area: of each label's objects (`size` of `class_means`), `[L]`, None without objects.
        mean_saliency: likewise, or None when there are no saliency maps.
        label_names: L names, for the figure.

    Returns:
        A dict that `json.dump` takes: `area` and, when given, `saliency` -> `count`, `pearson` and
        `spearman` (each `correlation`, `p_value`) or None with a `reason`, as `correlate`; and
        `points`, a list of `name` (None without names), `difference`, `area`, `saliency`.

    Raises:
        ValueError: lists of different lengths.
    """
    names = [None] * len(differences) if label_names is None else label_names
    saliency = [None] * len(differences) if mean_saliency is None else mean_saliency
    result = {"area": correlate(mean_area, differences)}
    if mean_saliency is not None:
        result["saliency"] = correlate(mean_saliency, differences)
    points = [
        {"name": name, "difference": _plain(gain), "area": _plain(area), "saliency": _plain(peak)}
        for name, gain, area, peak in zip(names, differences, mean_area, saliency, strict=True)
    ]
    return result | {"points": points}


def _resampled_differences(labels, models, samples, seed, units) -> np.ndarray:
    """The difference of every label in each resample, float64 `[S, L]`; NaN without positives."""
    rankings = [
        [LabelRanking(column, ranked) for column, ranked in zip(labels.T, model.T, strict=True)]
        for model in models
    ]
    chunks = []
    for counts in resample_counts(len(labels), samples, seed, units):
        baseline, other = (
            np.stack([ranking.average_precision(counts) for ranking in model], axis=1)
            for model in rankings
        )
        chunks.append(other - baseline)
    return np.concatenate(chunks)


def _row(label, name, labels, values, resampled) -> dict:
    positives = int(np.sum(labels == 1))
    return {
        "label": int(label),
        "name": name,
        "positives": positives,
        "baseline_average_precision": float(values[0]),
        "average_precision": float(values[1]),
        "difference": float(values[1] - values[0]),
        "interval": _interval(resampled) if positives >= LEAST_POSITIVES else None,
        "resamples_left_out": int(np.sum(np.isnan(resampled))),
    }


def _mean_average_precision(values, resampled) -> dict:
    has_positive = ~np.isnan(values[0])
    if not has_positive.any():
        return dict.fromkeys(("baseline", "model", "difference", "interval"))
    baseline, model = values[:, has_positive].mean(axis=1)
    # A resample can lack every positive of every label: it then has no mAP.
    resampled = resampled[~np.isnan(resampled).all(axis=1)]
    return {
        "baseline": float(baseline),
        "model": float(model),
        "difference": float(model - baseline),
        "interval": _interval(np.nanmean(resampled, axis=1)),
    }


def _interval(differences: np.ndarray) -> list[float] | None:
    found = percentile_interval(differences)
    return None if found is None else list(found)


def _counts(rows: list[dict]) -> dict[str, int]:
    differences = np.array([row["difference"] for row in rows])
    intervals = [row["interval"] for row in rows if row["interval"]]
    return {
        "improved": int(np.sum(differences > _ROUNDING)),
        "worsened": int(np.sum(differences < -_ROUNDING)),
        "unchanged": int(np.sum(np.abs(differences) <= _ROUNDING)),
        "improved_beyond_interval": sum(low > _ROUNDING for low, _ in intervals),
        "worsened_beyond_interval": sum(high < -_ROUNDING for _, high in intervals),
        "without_interval": len(rows) - len(intervals),
    }


def _plain(value) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _check(labels, label_names, samples):
    if labels.ndim != 2 or len(label_names) != labels.shape[1] or 0 in labels.shape:
        raise ValueError(
            f"Got labels of shape {labels.shape} and {len(label_names)} label names. Expected"
            " labels [N, L] with at least one image, and one name per column."
        )
    if samples < 1:
        raise ValueError(f"The bootstrap needs at least 1 resample, got samples={samples}.")
