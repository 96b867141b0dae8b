"""How far the headline numbers could lie elsewhere: bootstrap intervals, and what chance gives."""

import numpy as np

from vac_tf.analysis.comparison.weighted_average_precision import LabelRanking
from vac_tf.metrics.bootstrap import percentile_interval, resample_counts
from vac_tf.metrics.multilabel import decision_metrics

Interval = tuple[float, float] | None

_FEWEST, _MOST = 100, 1000
_CELLS = 4e9  # Labels of images in all resamples together: about half a minute.
_PERMUTATIONS = 5


def resamples_for(num_images: int, num_labels: int) -> int:
    """So many resamples that the intervals cost little beside the predictions: 100 to 1000."""
    return int(np.clip(_CELLS / max(num_images * num_labels, 1), _FEWEST, _MOST))


def bootstrap_intervals(
    ranked: np.ndarray,
    judged: np.ndarray,
    logits: np.ndarray,
    decided: np.ndarray,
    samples: int,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> tuple[dict[str, Interval], list[Interval]]:
    """Percentile intervals of 95 %, of all metrics over labels and of every label's AP.

    Images, or whole groups of them, are drawn with replacement. As everywhere, a label without
    positives in a resample leaves its means. AP is "step".

    Args:
        ranked: `[N, L]`, 0, 1 or NaN (left out of the average precision).
        judged: `[N, L]`, the same where decisions are judged (unknown may be negative there).
        logits: `[N, L]`.
        decided: bool `[N, L]`.
        samples: number of resamples.
        seed: of the resamples.
        groups: `[N]`, as of `resample_counts`.

    Returns:
        name -> interval for mAP and the names of `decision_metrics`, without `alarm_rate`;
        and L intervals of AP. None where a value is undefined in every resample.
    """
    precisions = []
    for counts in resample_counts(len(ranked), samples, seed, groups):
        columns = [_of_label(*column, counts) for column in _columns(ranked, logits)]
        precisions.append(np.stack(columns, axis=1))
    of_labels = np.concatenate(precisions)
    draws = {"mAP": _mean(of_labels, ~np.isnan(of_labels))}
    draws |= bootstrap_draws(judged, decided, samples, seed, groups)
    return (
        {name: percentile_interval(values) for name, values in draws.items()},
        [percentile_interval(column) for column in of_labels.T],
    )


def bootstrap_draws(
    judged: np.ndarray,
    decided: np.ndarray,
    samples: int,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The metrics of decisions in every resample, `[S]` by name, NaN where undefined.

    Equal seeds give equal resamples: differences of two networks' draws are paired. Arguments as of
    `bootstrap_intervals`.
    """
    known, positive = ~np.isnan(judged), judged == 1
    decided = decided & known
    per_image = _per_image(decided, positive, known)
    draws = [
        _metrics(decided, positive, known, per_image, counts)
        for counts in resample_counts(len(judged), samples, seed, groups)
    ]
    return {name: np.concatenate([part[name] for part in draws]) for name in draws[0]}


def chance_average_precision(labels: np.ndarray) -> np.ndarray:
    """The average precision ("step") that a random order of the images has on average, `[L]`.

    Of N images, m of them positive: (H_N + (m - 1) (N - H_N) / (N - 1)) / N, H_N being the N-th
    harmonic number; for large N it is the share of positives, m / N. NaN without positives.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (left out).
    """
    num_known = np.sum(~np.isnan(labels), axis=0)
    positives = np.sum(labels == 1, axis=0)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, len(labels) + 1))])[num_known]
    others = (positives - 1) * (num_known - harmonic) / np.maximum(num_known - 1, 1)
    return np.where(positives > 0, (harmonic + others) / np.maximum(num_known, 1), np.nan)


def chance_level(
    ranked: np.ndarray, judged: np.ndarray, decided: np.ndarray, seed: int = 0
) -> dict[str, float | None]:
    """What the metrics are for a network that does not look at the image.

    mAP is that of a random order; the others are means over 5 shuffles in which every image gets
    the decisions of another one, so that each label is decided as often as before.

    Args:
        ranked, judged, decided: as of `bootstrap_intervals`.
        seed: of the shuffles.
    """
    precisions = chance_average_precision(ranked)
    generator = np.random.default_rng(seed)
    shuffled = [
        decision_metrics(judged, decided[generator.permutation(len(decided))])
        for _ in range(_PERMUTATIONS)
    ]
    means = {
        name: None if value is None else float(np.mean([each[name] for each in shuffled]))
        for name, value in shuffled[0].items()
    }
    has_positives = ~np.isnan(precisions)
    mean = float(precisions[has_positives].mean()) if has_positives.any() else None
    return {"mAP": mean} | means


def _columns(ranked, logits):
    return zip(ranked.T, logits.T, strict=True)


def _of_label(labels, logits, counts):
    # Made for every chunk again: kept for all labels they would take gigabytes.
    return LabelRanking(labels, logits).average_precision(counts)


def _per_image(decided, positive, known) -> dict[str, np.ndarray]:
    """The example-based values of every image, `[N]`; `judged` is 0 without known labels."""
    hits = np.sum(decided & positive, axis=1)
    num_decided, num_positive = decided.sum(axis=1), positive.sum(axis=1)
    return {
        "judged": known.any(axis=1).astype(np.float32),
        "Acc": _ratio(hits, num_decided + num_positive - hits),
        "Prec": _ratio(hits, num_decided),
        "Recall": _ratio(hits, num_positive),
        "F1-mean": _ratio(2 * hits, num_decided + num_positive),
    }


def _metrics(decided, positive, known, per_image, counts) -> dict[str, np.ndarray]:
    """Every metric of each resample, `[S]`; as `decision_metrics` of the repeated images."""
    hits, predicted, positives, total = (
        np.stack([counts[rows].sum(axis=0, dtype=np.float64) for rows in cells.T], axis=1)
        for cells in (decided & positive, decided, positive, known)
    )
    negatives, counted = total - positives, positives > 0
    recalls = _ratio(hits, positives)
    specificities = _ratio(negatives - predicted + hits, negatives)
    precision = _mean(_ratio(hits, predicted), counted)
    recall = _mean(recalls, counted)
    judged = per_image["judged"] @ counts
    images = {
        name: _ratio((values * per_image["judged"]) @ counts, judged)
        for name, values in per_image.items()
        if name != "judged"
    }
    return {
        "mA": _mean((recalls + specificities) / 2, counted & (negatives > 0)),
        "F1-C": _mean(_ratio(2 * hits, predicted + positives), counted),
        "P-C": precision,
        "R-C": recall,
        "CF1": _harmonic(precision, recall),
        "F1-O": _ratio(2 * hits.sum(axis=1), (predicted + positives).sum(axis=1)),
        "P-O": _ratio(hits.sum(axis=1), predicted.sum(axis=1)),
        "R-O": _ratio(hits.sum(axis=1), positives.sum(axis=1)),
        **images,
        "F1": _harmonic(images["Prec"], images["Recall"]),
    }


def _mean(values, counted):
    """Mean over the labels that count in each resample, `[S]`; NaN where none does."""
    number = counted.sum(axis=1)
    mean = np.where(counted, values, 0.0).sum(axis=1) / np.maximum(number, 1)
    return np.where(number > 0, mean, np.nan)


def _harmonic(precision, recall):
    return _ratio(2 * precision * recall, precision + recall)


def _ratio(numerator, denominator):
    """numerator / denominator, and 0 where the denominator is 0."""
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), 0.0)
