"""Validation: the loss and what is scored come from the same pass over the images."""

import keras
import numpy as np
import tensorflow as tf


def validate(trainer: keras.Model, batches: tf.data.Dataset) -> tuple[dict, np.ndarray]:
    """Shows every image once to a trainer's network.

    Args:
        trainer: has `judge(*batch)`, which returns loss terms and an output per image.
        batches: (images, targets) or (images, targets, sample weights), in order.

    Returns:
        The mean of each loss term over the images, and the outputs float32 `[N, ...]` in order.
    """
    if not hasattr(trainer, "_judge_in_graph"):
        trainer._judge_in_graph = tf.function(trainer.judge, autograph=False, reduce_retracing=True)
    totals, outputs = {}, []
    for batch in batches:
        terms, output = trainer._judge_in_graph(*batch)
        outputs.append(output.numpy())
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(output)
    outputs = np.concatenate(outputs).astype(np.float32)
    return {name: total / len(outputs) for name, total in totals.items()}, outputs
