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
    """Labels and logits of every image, in order.

    Args:
        network: `images` -> dict with `logits` `[B, L]`.
        batches: Dataset of (images, labels).

    Returns:
        labels float32 `[N, L]` and logits float32 `[N, L]`.
    """
    forward = inference(network)
    labels, logits = [], []
    for images, batch_labels in batches:
        logits.append(tf.cast(forward(images)["logits"], tf.float32).numpy())
        labels.append(batch_labels.numpy())
    return np.concatenate(labels), np.concatenate(logits)
