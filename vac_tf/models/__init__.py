"""Networks: functional Keras models that output logits and heatmaps by name."""

from vac_tf.models.classifier import build_classifier
from vac_tf.models.dual_stream import build_dual_stream

__all__ = ["build_classifier", "build_dual_stream"]
