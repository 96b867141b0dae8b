"""Predictions of a network over batches, as NumPy arrays."""

import numpy as np
import tensorflow as tf


def predict(network, batches) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of every image, in order.

    Args:
        network: `images` -> dict with `logits` `[B, L]`.
        batches: Dataset of (images, labels).

    Returns:
        labels float32 `[N, L]` and probabilities float32 `[N, L]`.
    """

    @tf.function(reduce_retracing=True)
    def probabilities(images):
        return tf.sigmoid(network(images, training=False)["logits"])

    labels, scores = [], []
    for images, batch_labels in batches:
        scores.append(probabilities(images).numpy())
        labels.append(batch_labels.numpy())
    return np.concatenate(labels), np.concatenate(scores)
