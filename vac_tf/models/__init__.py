"""Networks: functional Keras models that output logits and heatmaps by name."""

from vac_tf.models.classifier import build_classifier

__all__ = ["build_classifier"]
