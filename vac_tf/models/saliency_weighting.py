"""A classifier that counts what it sees where people look: its pooling weighted by saliency."""

import keras
import tensorflow as tf
from keras import ops

from vac_tf.models.cam_head import HEAD_LAYER, CAMHead
from vac_tf.models.loading_hint import SaysWhatToImport

_POINTS_PER_CELL = 8  # Per axis; a density has peaks that are narrower than a cell.


@keras.saving.register_keras_serializable(package="vac_tf")
class SaliencyWeighting(SaysWhatToImport):
    """Replaces the mean over cells by the mean under a density of fixations.

    The density d of each cell is the softmax of the saliency logits, up-sampled bilinearly to 8x8
    points per heatmap cell, summed over the points of the cell; over all cells its sum is 1. With
    heatmaps M and average pooling a logit is `mean(M) + bias`; it becomes `sum(d * M) + bias`, and
    the heatmaps become `M * d * cells`, whose mean plus the bias is the new logit. A constant
    saliency changes nothing.

    Input shape: dict of `heatmaps` `[B, h, w, L]` and `logits` `[B, L]`; saliency logits
    `[B, h2, w2, 1]`. Output: dict of the first two, float32. Computes in float32.
    """

    def __init__(self, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    def call(self, outputs, saliency):
        heatmaps = outputs["heatmaps"]
        height, width = tf.shape(heatmaps)[1], tf.shape(heatmaps)[2]
        density = _cell_density(saliency, height, width)
        weighted = heatmaps * density * tf.cast(height * width, "float32")
        change = ops.mean(weighted, axis=(1, 2)) - ops.mean(heatmaps, axis=(1, 2))
        return {"heatmaps": weighted, "logits": outputs["logits"] + change}

    def compute_output_shape(self, outputs_shape, saliency_shape):
        del saliency_shape
        return {name: outputs_shape[name] for name in ("heatmaps", "logits")}


def weight_by_saliency(classifier, saliency_network):
    """A classifier whose logits and heatmaps are weighted by a saliency network.

    Args:
        classifier: `images` -> `{"heatmaps", "logits"}` of a `CAMHead` with average pooling.
        saliency_network: `images` -> `{"saliency"}`, see `build_saliency_network`; of any
            backbone. It sees the same images.

    Returns:
        `keras.Model` with the classifier's named outputs; it shares the layers of both, which are
        frozen from then on.

    Raises:
        ValueError: the classifier has another head or pooling.
    """
    head = classifier.get_layer(HEAD_LAYER)
    if not isinstance(head, CAMHead) or head.pooling != "average":
        found = f"pooling {head.pooling!r}" if isinstance(head, CAMHead) else type(head).__name__
        raise ValueError(
            "Only a classifier with average pooling can be weighted by saliency: its logits are"
            f" means of its heatmaps. This one has {found}."
        )
    images = classifier.inputs[0]
    saliency = saliency_network(images)["saliency"]
    weighted = SaliencyWeighting(name="saliency_weighting")(classifier.output, saliency)
    network = keras.Model(images, weighted, name=f"{classifier.name}_by_saliency")
    network.trainable = False
    return network


def _cell_density(saliency, height, width):
    """Density of saliency logits `[B, h2, w2, 1]` in `height` x `width` cells, of sum 1."""
    points = (height * _POINTS_PER_CELL, width * _POINTS_PER_CELL)
    logits = tf.image.resize(saliency, points)
    density = tf.exp(logits - ops.logsumexp(logits, axis=(1, 2), keepdims=True))
    area = _POINTS_PER_CELL**2
    return area * tf.nn.avg_pool2d(density, _POINTS_PER_CELL, _POINTS_PER_CELL, "VALID")
