"""The table of labels, and the data from which its page recomputes every threshold."""

from collections.abc import Sequence

import numpy as np
import scipy.special

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.decisions.decision_rule import DecisionRule
from vac_tf.report.headlines import Headlines, judged_labels
from vac_tf.report.threshold_curves import (
    precision_recall_points,
    slider_thresholds,
    threshold_counts,
)


def network_thresholds(rule: DecisionRule) -> np.ndarray:
    """The thresholds of a rule as probabilities of the network before calibration, `[L]`.

    Those of label groups, whose probabilities depend on each other, stay as they are.
    """
    calibration = rule.calibration
    logits = scipy.special.logit(rule.thresholds.astype(np.float64))
    values = scipy.special.expit((logits - calibration.offsets) / calibration.scales)
    for group in calibration.label_groups:
        columns = list(group.columns)
        values[columns] = rule.thresholds[columns]
    return values


def label_rows(
    results: dict, headlines: Headlines, rule: DecisionRule | None
) -> list[dict[str, object]]:
    """One row per label, that of the highest AP first: what `per_label` says of it, its index,
    interval, chance and tuned threshold (as a probability of the network)."""
    tuned = network_thresholds(rule) if rule else [None] * len(results["per_label"])
    rows = [
        row
        | {
            "index": index,
            "interval": measured.interval,
            "chance": measured.chance,
            "tuned": None if threshold is None else float(threshold),
        }
        for index, (row, measured, threshold) in enumerate(
            zip(results["per_label"], headlines.labels, tuned, strict=True)
        )
    ]
    return sorted(rows, key=lambda row: -1.0 if row["AP"] is None else row["AP"], reverse=True)


def slider_data(
    names: Sequence[str],
    labels: np.ndarray,
    logits: np.ndarray,
    unknown: str,
    threshold: float,
    groups: Sequence[LabelGroup] = (),
) -> dict[str, object]:
    """What the script of the page reads, as plain values.

    Args:
        names: L names.
        labels: `[N, L]`, 0, 1 or NaN.
        logits: `[N, L]`.
        unknown: the policy for NaN.
        threshold: where the slider stands first.
        groups: labels that exclude each other, of which the most probable is decided.

    Returns:
        `thresholds` `[T]`, `start` (an index), and `labels`: per label `name`, `positives`,
        `known`, `true` and `false` (positives and negatives above each threshold), `recall` and
        `precision` (the points of its curve, in thousandths).
    """
    ranked, judged = judged_labels(labels, unknown)
    thresholds = slider_thresholds(threshold)
    probabilities = scipy.special.expit(logits.astype(np.float32))
    true, false = threshold_counts(judged, _deciding(probabilities, groups), thresholds)
    entries = []
    for index, name in enumerate(names):
        curve = precision_recall_points(ranked[:, index], logits[:, index])
        recall, precision = ((1000 * values).round().astype(int).tolist() for values in curve)
        entries.append(
            {
                "name": name,
                "positives": int(np.sum(judged[:, index] == 1)),
                "known": int(np.sum(~np.isnan(judged[:, index]))),
                "true": true[index].tolist(),
                "false": false[index].tolist(),
                "recall": recall,
                "precision": precision,
            }
        )
    return {
        "thresholds": [round(float(value), 6) for value in thresholds],
        "start": int(np.searchsorted(thresholds, np.float32(threshold))),
        "labels": entries,
    }


def _deciding(probabilities, groups):
    """Values that are above a threshold where `decide` decides the label."""
    values = probabilities.copy()
    for group in groups:
        columns = list(group.columns)
        own = probabilities[:, columns]
        is_highest = own.argmax(axis=1)[:, None] == np.arange(len(columns))
        highest = own if group.at_most_one else np.full_like(own, 2.0)
        values[:, columns] = np.where(is_highest, highest, -1.0)
    return values
