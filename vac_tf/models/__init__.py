"""Networks: functional Keras models that output logits and heatmaps by name.

Importing this package registers their layers, so that `keras.models.load_model` reads any network
of a run.
"""

from vac_tf.models.classifier import build_classifier
from vac_tf.models.dual_stream import build_dual_stream
from vac_tf.models.saliency import build_saliency_network
from vac_tf.models.saliency_weighting import weight_by_saliency

__all__ = [
    "build_classifier",
    "build_dual_stream",
    "build_saliency_network",
    "weight_by_saliency",
]
