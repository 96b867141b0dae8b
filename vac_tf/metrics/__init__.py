"""Metrics: NumPy in, NumPy out. Needs no TensorFlow."""

from vac_tf.metrics.average_precision import average_precision
from vac_tf.metrics.multilabel import decision_metrics, evaluate_logits, evaluate_multilabel

__all__ = ["average_precision", "decision_metrics", "evaluate_logits", "evaluate_multilabel"]
