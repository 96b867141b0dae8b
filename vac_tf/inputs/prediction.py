"""Predictions of a network over batches, as NumPy arrays."""

import numpy as np
import tensorflow as tf


def inference(network):
    """The network's forward pass as a graph: images -> its outputs, without training behaviour.

    It is kept with the network: a run that validates after every epoch traces it once.
    """
    if not hasattr(network, "_inference"):
        network._inference = tf.function(
            lambda images: network(images, training=False), reduce_retracing=True
        )
    return network._inference


def predict(network, batches) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of every image, in order.

    Args:
        network: `images` -> dict with `logits` `[B, L]`.
        batches: Dataset of (images, labels).

    Returns:
        labels float32 `[N, L]` and probabilities float32 `[N, L]`.
    """
    forward = inference(network)
    labels, scores = [], []
    for images, batch_labels in batches:
        scores.append(tf.sigmoid(forward(images)["logits"]).numpy())
        labels.append(batch_labels.numpy())
    return np.concatenate(labels), np.concatenate(scores)
