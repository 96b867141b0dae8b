"""Metrics of multi-label classification under their conventional names. No TensorFlow.

Names follow the VAC paper (Guo et al., "Visual Attention Consistency under Image Transforms for
Multi-Label Image Classification", CVPR 2019, Section 4): `*-C` are means over labels ("macro"),
`*-O` count over all images and labels ("micro"). Where papers use one name for two quantities,
both are reported: `F1-C` is the mean of the labels' F1 (VAC, SRN, ASL), `CF1` is the F1 of the
mean precision and the mean recall (ML-GCN, visual attention dual stream).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.metrics.average_precision import average_precision, average_precision_per_label
from vac_tf.metrics.label_groups.decisions import decide, log_odds
from vac_tf.metrics.label_groups.group_metrics import measure_groups
from vac_tf.metrics.multilabel_arrays import (
    check_arrays,
    check_ranking,
    count_dataset,
    harmonic_mean,
    mean,
    plain,
    ratio,
)
from vac_tf.metrics.saturation import warn_of_lost_order

__all__ = [
    "average_precision",
    "average_precision_per_label",
    "decision_metrics",
    "evaluate_logits",
    "evaluate_multilabel",
]

UNKNOWN_POLICIES = ("ignore", "negative", "release")


def evaluate_multilabel(
    labels: ArrayLike,
    scores: ArrayLike,
    label_names: Sequence[str] | None = None,
    threshold: float = 0.5,
    unknown: str = "ignore",
    average_precision: str = "step",
    ranking: ArrayLike | None = None,
    label_groups: Sequence[LabelGroup] = (),
) -> dict[str, Any]:
    """Evaluates the scores of N images and L labels.

    A label is predicted when its float32 probability is above `threshold`. Conventions:

    * A label without positives leaves every mean over labels, and is named in `conventions`;
      `mA`, which needs both classes, also leaves out labels without negatives.
    * A label that is never predicted has precision 0, as has an image without predictions; an
      image without positives has recall 0. Example-based values divide by the number of all
      images, so an image with neither predictions nor positives adds 0 to each of them.
    * Example-based `F1` is the F1 of the mean precision and the mean recall (VAC), `F1-mean` the
      mean of the images' F1.
    * `top3` predicts the three labels of the highest score, whatever the score (text of the VAC
      paper); `top3_thresholded` only those of them above the threshold (its Table 6). Equal
      scores: the label of lower index first. With fewer than three labels, all are taken.

    Args:
        labels: [N, L], values 0, 1 or NaN (unknown).
        scores: [N, L], probabilities in 0..1.
        label_names: L different names; default "0", "1", ...
        threshold: in 0..1.
        unknown: what a NaN label means. "ignore": it is left out everywhere, as though the image
            did not have that label (predictions are made without regard to it, the top three
            too); an image without known labels leaves the example-based means. "negative": 0.
            "release": 0, but left out of the average precision (the authors' evaluation).
        average_precision: "step", "voc12" or "voc07", see `average_precision`.
        ranking: [N, L], any real numbers in the order of the scores: the logits. They rank in
            place of the scores (average precision and the top three), whose float32 values are
            equal for logits above 16.6. None: the scores rank; a warning names a label of which
            positives and negatives are equal next to 0 or 1.
        label_groups: labels that exclude each other, whose decision is the most probable one; see
            `vac_tf.metrics.label_groups`.

    Returns:
        A dict that `json.dump` takes: `label_based` (mAP, mA, F1-C, P-C, R-C, CF1, F1-O, P-O,
        R-O), `top3` and `top3_thresholded` (F1-C ... R-O), `example_based` (Acc, Prec, Recall,
        F1, F1-mean), `per_label` (one dict per label: name, AP, precision, recall, F1, positives,
        unknown), `conventions`; with `label_groups` also these, as `measure_groups`. Fractions in
        0..1; None where a value is undefined.

    Raises:
        ValueError: shapes that do not fit, no images or labels, labels outside {0, 1, NaN}, scores
            outside 0..1, a NaN in the ranking, wrong or repeated names, an unknown policy or
            convention.
    """
    if unknown not in UNKNOWN_POLICIES:
        raise ValueError(
            f"Unknown policy {unknown!r}. Expected one of: {', '.join(UNKNOWN_POLICIES)}."
        )
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}. Expected a probability in 0..1.")
    labels, scores, names = check_arrays(labels, scores, label_names)
    is_unknown = np.isnan(labels)
    known = ~is_unknown if unknown == "ignore" else np.ones(labels.shape, bool)
    positive = labels == 1
    if ranking is None:
        warn_of_lost_order(labels, scores, names, "Rank by logits or by float64 probabilities.")
        ranking = scores
    else:
        ranking = check_ranking(ranking, scores.shape)

    # float32, since that is what the exported network hands to whoever decides.
    above = decide(scores, threshold, label_groups)
    best = _highest(ranking, 3)
    by_label = _count(above & known, positive, known)
    precisions = average_precision_per_label(
        np.where(is_unknown, 0, labels) if unknown == "negative" else labels,
        ranking,
        average_precision,
    )
    label_based = {
        "mAP": mean(precisions[by_label["positives"] > 0]),
        "mA": _mean_accuracy(by_label),
    }
    results: dict[str, Any] = {
        "label_based": label_based | _precision_recall(by_label),
        "top3": _precision_recall(_count(best & known, positive, known)),
        "top3_thresholded": _precision_recall(_count(best & above & known, positive, known)),
        "example_based": _example_based(above & known, positive, known),
        "per_label": _per_label(names, precisions, by_label, is_unknown.sum(axis=0)),
        "conventions": _conventions(unknown, threshold, average_precision)
        | count_dataset(names, above & known, positive, known, is_unknown),
    }
    if label_groups:
        truth, rule = np.where(known, np.nan_to_num(labels), np.nan), (threshold, label_groups)
        results["label_groups"] = measure_groups(truth, scores, above, *rule, names)
        results["conventions"]["decision"] += "; of a label group the most probable"
    return results


def evaluate_logits(
    labels: ArrayLike, logits: ArrayLike, label_names: Sequence[str] | None = None, **options: Any
) -> dict[str, Any]:
    """`evaluate_multilabel` of logits [N, L]: they rank, their float32 sigmoid decides.

    Of label groups it is the softmax of their logits.

    Args:
        labels: [N, L], values 0, 1 or NaN (unknown).
        logits: [N, L], finite.
        label_names: L different names; default "0", "1", ...
        **options: `threshold`, `unknown`, `average_precision` and `label_groups` of
            `evaluate_multilabel`.

    Returns:
        As `evaluate_multilabel`.

    Raises:
        ValueError: as `evaluate_multilabel`.
    """
    logits = log_odds(np.asarray(logits), options.get("label_groups", ()))
    probabilities = scipy.special.expit(logits.astype(np.float32))
    return evaluate_multilabel(labels, probabilities, label_names, ranking=logits, **options)


def decision_metrics(labels: np.ndarray, decided: np.ndarray) -> dict[str, float | None]:
    """The metrics that need decisions only, whatever made them.

    Args:
        labels: [N, L], values 0, 1 or NaN (left out everywhere).
        decided: bool [N, L].

    Returns:
        mA, F1-C, P-C, R-C, CF1, F1-O, P-O, R-O, and example-based Acc, Prec, Recall, F1, F1-mean,
        as `evaluate_multilabel`; `alarm_rate`, the share of known labels that are decided.
    """
    known, positive = ~np.isnan(labels), labels == 1
    decided = decided & known
    counts = _count(decided, positive, known)
    return {
        "mA": _mean_accuracy(counts),
        **_precision_recall(counts),
        **_example_based(decided, positive, known),
        "alarm_rate": float(decided.sum() / max(known.sum(), 1)),
    }


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Marks the `count` highest scores of each row, the lower index first among equals, [N, L]."""
    chosen = np.zeros(scores.shape, bool)
    remaining = scores.copy()
    rows = np.arange(len(scores))
    for _ in range(min(count, scores.shape[1])):
        column = np.argmax(remaining, axis=1)
        chosen[rows, column] = True
        remaining[rows, column] = -np.inf
    return chosen


def _count(predicted: np.ndarray, positive: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """Counts per label, each int64 [L]; `predicted` and `positive` hold known cells only."""
    return {
        "true_positives": np.sum(predicted & positive, axis=0),
        "predicted": np.sum(predicted, axis=0),
        "positives": np.sum(positive, axis=0),
        "known": np.sum(known, axis=0),
    }


def _precision_recall(counts: dict[str, np.ndarray]) -> dict[str, Any]:
    """The seven label-based precisions, recalls and F1, from the counts per label."""
    hits, predicted, positives = (
        counts[name] for name in ("true_positives", "predicted", "positives")
    )
    counted = positives > 0
    precision = mean(ratio(hits, predicted)[counted])
    recall = mean(ratio(hits, positives)[counted])
    if not counted.any():
        return dict.fromkeys(("F1-C", "P-C", "R-C", "CF1", "F1-O", "P-O", "R-O"))
    return {
        "F1-C": mean(ratio(2 * hits, predicted + positives)[counted]),
        "P-C": precision,
        "R-C": recall,
        "CF1": harmonic_mean(precision, recall),
        "F1-O": float(ratio(2 * hits.sum(), predicted.sum() + positives.sum())),
        "P-O": float(ratio(hits.sum(), predicted.sum())),
        "R-O": float(ratio(hits.sum(), positives.sum())),
    }


def _mean_accuracy(counts: dict[str, np.ndarray]) -> float | None:
    """Mean over labels of (true positive rate + true negative rate) / 2."""
    negatives = counts["known"] - counts["positives"]
    false_positives = counts["predicted"] - counts["true_positives"]
    true_positive_rate = ratio(counts["true_positives"], counts["positives"])
    true_negative_rate = ratio(negatives - false_positives, negatives)
    counted = (counts["positives"] > 0) & (negatives > 0)
    return mean((true_positive_rate + true_negative_rate)[counted] / 2)


def _example_based(
    predicted: np.ndarray, positive: np.ndarray, known: np.ndarray
) -> dict[str, Any]:
    """Means over the images that have known labels."""
    judged = known.any(axis=1)
    hits = np.sum(predicted & positive, axis=1)[judged]
    num_predicted = np.sum(predicted, axis=1)[judged]
    num_positive = np.sum(positive, axis=1)[judged]
    precision = mean(ratio(hits, num_predicted))
    recall = mean(ratio(hits, num_positive))
    return {
        "Acc": mean(ratio(hits, num_predicted + num_positive - hits)),
        "Prec": precision,
        "Recall": recall,
        "F1": harmonic_mean(precision, recall),
        "F1-mean": mean(ratio(2 * hits, num_predicted + num_positive)),
    }


def _per_label(
    names: Sequence[str],
    average_precisions: np.ndarray,
    counts: dict[str, np.ndarray],
    num_unknown: np.ndarray,
) -> list[dict[str, Any]]:
    hits, predicted, positives = (
        counts[name] for name in ("true_positives", "predicted", "positives")
    )
    precision = ratio(hits, predicted)
    recall = np.where(positives > 0, ratio(hits, positives), np.nan)
    f1 = np.where(positives > 0, ratio(2 * hits, predicted + positives), np.nan)
    return [
        {
            "name": name,
            "AP": plain(average_precisions[index]),
            "precision": plain(precision[index]),
            "recall": plain(recall[index]),
            "F1": plain(f1[index]),
            "positives": int(positives[index]),
            "unknown": int(num_unknown[index]),
        }
        for index, name in enumerate(names)
    ]


def _conventions(unknown: str, threshold: float, average_precision: str) -> dict[str, Any]:
    return {
        "average_precision": average_precision,
        "F1-C": "mean of per-label F1",
        "CF1": "F1 of mean per-label precision and mean per-label recall",
        "example_based F1": "F1 of mean precision and mean recall over images",
        "unknown_labels": unknown,
        "threshold": float(threshold),
        "decision": "float32 probability > threshold",
    }
