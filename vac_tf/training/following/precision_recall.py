"""Precision-recall curves of a validation, in the format of TensorBoard's plugin."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorboard.plugins.pr_curve import summary

# Of more labels those with the most positives get a curve of their own.
MOST_LABELS = 100
ALL_LABELS = "all labels"
# Which the plugin counts at once, in several arrays of float64.
_MOST_DECISIONS = 4_000_000
_LEAST = 1e-7  # Instead of nothing at all, as the plugin has it.


def write_curves(labels: np.ndarray, probabilities: np.ndarray, label_names: Sequence[str]) -> None:
    """Writes the curve of all decisions together, and one per label that has positives.

    Each has the precision and recall at 201 thresholds from 0 to 1, as the plugin counts them.

    Args:
        labels: float32 `[N, L]`, 0, 1 or NaN (unknown), which counts for nothing.
        probabilities: float32 `[N, L]` in 0..1.
        label_names: L names.
    """
    known = ~np.isnan(labels)
    positive = labels == 1
    _write(ALL_LABELS, positive, probabilities, known)
    counts = positive.sum(axis=0)
    for column in np.argsort(-counts, kind="stable")[:MOST_LABELS]:
        if counts[column]:
            parts = (array[:, column] for array in (positive, probabilities, known))
            _write(label_names[column], *parts)


def _write(name, positive, probabilities, known):
    parts = math.ceil(positive.size / _MOST_DECISIONS)
    arrays = (np.array_split(array, parts) for array in (positive, probabilities, known))
    counts = sum(_counts(*part) for part in zip(*arrays, strict=True))
    true_positives, false_positives, _, false_negatives = counts
    curve = summary.raw_data_pb(
        f"precision_recall/{name}",
        *counts,
        precision=true_positives / np.maximum(true_positives + false_positives, _LEAST),
        recall=true_positives / np.maximum(true_positives + false_negatives, _LEAST),
        num_thresholds=counts.shape[1],
        display_name=name,
        description="Validation images, by the probabilities of the network, not calibrated.",
    )
    tf.summary.experimental.write_raw_pb(curve.SerializeToString())


def _counts(positive, probabilities, known):
    """True and false positives, true and false negatives, as the plugin counts: `[4, 201]`."""
    curve = summary.pb("", positive, probabilities, weights=known.astype(float))
    return tf.make_ndarray(curve.value[0].tensor)[:4].astype(float)
