"""Losses: pure functions of labels or heatmaps, and of outputs."""

from vac_tf.losses.multilabel import (
    attention_consistency,
    mean_squared_logit_difference,
    multiple_cross_entropy,
    sigmoid_cross_entropy,
    weighted_sigmoid_cross_entropy,
)

__all__ = [
    "attention_consistency",
    "mean_squared_logit_difference",
    "multiple_cross_entropy",
    "sigmoid_cross_entropy",
    "weighted_sigmoid_cross_entropy",
]
