"""Losses: pure functions of labels or heatmaps, and of outputs."""

from vac_tf.losses.asymmetric import asymmetric_loss, focal_loss
from vac_tf.losses.label_terms import smooth_labels, sum_over_labels
from vac_tf.losses.multilabel import (
    attention_consistency,
    multiple_cross_entropy,
    sigmoid_cross_entropy,
    weighted_sigmoid_cross_entropy,
)

__all__ = [
    "asymmetric_loss",
    "attention_consistency",
    "focal_loss",
    "multiple_cross_entropy",
    "sigmoid_cross_entropy",
    "smooth_labels",
    "sum_over_labels",
    "weighted_sigmoid_cross_entropy",
]
