"""Validation: what can select a network; loss and scores of one pass over the images."""

import keras
import numpy as np
import tensorflow as tf

from vac_tf.datasets.run_splits import RunSplits
from vac_tf.inputs.settings import known_labels


def validate(
    trainer: keras.Model, batches: tf.data.Dataset, labels: np.ndarray | None = None
) -> tuple[dict, np.ndarray]:
    """Shows every image once to a trainer's network.

    Args:
        trainer: has `judge(*batch)`, which returns loss terms and an output per image.
        batches: (images, targets) or (images, targets, sample weights), in order.

        labels: what the targets must be, `[N, L]`, NaN for unknown; None: they are not compared.

    Returns:
        The mean of each loss term over the images, and the outputs float32 `[N, ...]` in order.

    Raises:
        ValueError: the targets come in another order than `labels`.
    """
    if not hasattr(trainer, "_judge_in_graph"):
        trainer._judge_in_graph = tf.function(trainer.judge, autograph=False, reduce_retracing=True)
    totals, outputs = {}, []
    for batch in batches:
        terms, output = trainer._judge_in_graph(*batch)
        if labels is not None:
            _check_order(batch[1].numpy(), labels[sum(map(len, outputs)) :])
        outputs.append(output.numpy())
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(output)
    outputs = np.concatenate(outputs).astype(np.float32)
    return {name: total / len(outputs) for name, total in totals.items()}, outputs


def _check_order(targets, labels):
    if not np.array_equal(np.nan_to_num(targets), np.nan_to_num(labels[: len(targets)])):
        raise ValueError(
            "The validation data comes in another order than before, so that its labels would be"
            " those of other images: give it without shuffling (shuffle=False)."
        )


def check_selection(splits: RunSplits, unknown_labels: str) -> None:
    """Raises ValueError where the validation part gives every network the same mAP.

    The average precision of a label is 1 when all its images are positive, and undefined when none
    is.
    """
    check_validation_labels(splits.validation.labels, splits.selected_on, unknown_labels)


def check_validation_labels(labels: np.ndarray, selected_on: str, unknown_labels: str) -> None:
    """`check_selection` of labels `[N, L]` of the validation part, which is `selected_on`."""
    if unknown_labels == "negative":
        labels = known_labels(labels, unknown_labels)
    if not ((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).any():
        raise ValueError(
            f"No label has both a positive and a negative among the {len(labels)} images of the"
            f" validation part ({selected_on}): every network would have the same mAP, and"
            " none could be selected. Use a larger --validation_fraction or another"
            " --validation_split."
        )
