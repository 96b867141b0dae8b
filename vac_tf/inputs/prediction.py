"""Predictions of a network over batches: the one loop that all evaluations and analyses share."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf


def inference(network):
    """The network's forward pass as a graph: images -> its outputs, without training behaviour.

    It is kept with the network: a run that validates after every epoch traces it once.
    """
    if not hasattr(network, "_inference"):
        network._inference = tf.function(
            lambda images: network(images, training=False), autograph=False, reduce_retracing=True
        )
    return network._inference


def predicted_batches(network, batches: Iterable) -> Iterator[tuple]:
    """For each batch its images, its labels and the network's outputs for it, in order.

    Args:
        network: `images` -> dict of outputs by name.
        batches: Pairs of images, tensors or NumPy arrays, and labels (or of anything that belongs
            to the images).

    Yields:
        Images and labels as they came; the outputs as tensors `[B, ...]` by name.
    """
    forward = inference(network)
    for images, labels in batches:
        yield images, labels, forward(images)


def gather_outputs(network, batches: Iterable, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named outputs of every image, in order: float32 `[N, ...]` by name."""
    parts = [
        [tf.cast(outputs[name], tf.float32).numpy() for name in names]
        for _, _, outputs in predicted_batches(network, batches)
    ]
    columns = zip(*parts, strict=True)
    return {name: np.concatenate(column) for name, column in zip(names, columns, strict=True)}


def predict(network, batches) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits of every image, in order.

    Args:
        network: `images` -> dict with `logits` `[B, L]`.
        batches: Pairs of images `[B, H, W, 3]` and labels `[B, L]`: tensors or NumPy arrays.

    Returns:
        labels float32 `[N, L]` and logits float32 `[N, L]`.
    """
    labels, logits = [], []
    for _, batch_labels, outputs in predicted_batches(network, batches):
        logits.append(tf.cast(outputs["logits"], tf.float32).numpy())
        labels.append(np.asarray(batch_labels, np.float32))
    return np.concatenate(labels), np.concatenate(logits)
