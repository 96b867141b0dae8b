"""Losses: pure functions of logits and heatmaps, one value per example, in float32.

Visual Attention Consistency (Guo et al., CVPR 2019) is cited as VAC; Visual Attention in
Multi-Label Image Classification (2019) as the dual-stream paper.
"""

import numpy as np
from keras import ops

from vac_tf.geometry.grids import common_pieces
from vac_tf.losses.label_terms import sum_over_labels
from vac_tf.losses.label_weights import LABEL_WEIGHTS


def weighted_sigmoid_cross_entropy(
    labels, logits, positive_ratio, mask=None, label_weights: str = "exponential"
):
    """Sigmoid cross entropy weighted by how rare a label is (VAC, Equations 2 and 3).

    Args:
        labels: `[B, L]` in [0, 1]; where `mask` is 0 anything, NaN included.
        logits: `[B, L]`.
        positive_ratio: `[L]`, p: the proportion of positives of each label in the training set.
        mask: Optional `[B, L]`, 0 where a label is unknown and 1 elsewhere.
        label_weights: A name of `vac_tf.losses.label_weights.LABEL_WEIGHTS`; `"exponential"` is
            the paper's: positives weigh `exp(1 - p)` and negatives `exp(p)`.

    Returns:
        float32 `[B]`: the sum over labels.
    """
    weights = LABEL_WEIGHTS[label_weights](ops.cast(positive_ratio, "float32"))
    return _cross_entropy(labels, logits, *weights, mask)


def sigmoid_cross_entropy(labels, logits, mask=None):
    """The same without weights: sum over labels `[B]` of the sigmoid cross entropy."""
    return _cross_entropy(labels, logits, 1.0, 1.0, mask)


def multiple_cross_entropy(labels, logit_pairs):
    """Two-way softmax cross entropy per label (dual-stream paper, Equations 4 and 5).

    Equals `sigmoid_cross_entropy(labels, positive - negative)`, gradients included.

    Args:
        labels: `[B, L]` in {0, 1}.
        logit_pairs: `[B, L, 2]`, the logits (negative, positive) of each label.

    Returns:
        float32 `[B]`: the sum over labels.
    """
    labels = ops.cast(labels, "float32")
    log_probabilities = ops.log_softmax(ops.cast(logit_pairs, "float32"), axis=-1)
    losses = labels * log_probabilities[..., 1] + (1.0 - labels) * log_probabilities[..., 0]
    return -ops.sum(losses, axis=-1)


def attention_consistency(first, second, mask=None):
    """Mean squared difference of two stacks of heatmaps (VAC, Equation 5).

    Grids of different sizes (7x7 and 6x6) are compared as if both were up-sampled to their least
    common multiple (42x42) by nearest neighbour: each pair of overlapping cells counts with the
    area of its overlap. The large grid is never built.

    Args:
        first: `[B, h, w, L]`.
        second: `[B, h2, w2, L]`.
        mask: Optional `[h, w]`, 0 for the cells of `first` that are left out of the mean.

    Returns:
        float32 `[B]`: the mean over labels and (valid) cells.

    Raises:
        ValueError: when the grid sizes are not known or the label counts differ.
    """
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"Heatmaps must have equal label counts, got shapes {first.shape} and {second.shape}."
        )
    first_rows, second_rows, heights = _pieces(first.shape[1], second.shape[1])
    first_columns, second_columns, widths = _pieces(first.shape[2], second.shape[2])
    area = np.outer(heights, widths).astype("float32")
    if mask is not None:
        area = area * np.asarray(mask, "float32")[first_rows][:, first_columns]
    difference = _take_cells(first, first_rows, first_columns) - _take_cells(
        second, second_rows, second_columns
    )
    weights = ops.convert_to_tensor((area / area.sum())[None, :, :, None], dtype="float32")
    return ops.mean(ops.sum(ops.square(difference) * weights, axis=(1, 2)), axis=-1)


def mean_squared_logit_difference(first, second):
    """float32 `[B]`: mean squared difference of two `[B, L]` stacks (the label level)."""
    difference = ops.cast(first, "float32") - ops.cast(second, "float32")
    return ops.mean(ops.square(difference), axis=-1)


def _cross_entropy(labels, logits, positive_weight, negative_weight, mask):
    logits = ops.cast(logits, "float32")
    # log(1 - sigmoid(x)) = log_sigmoid(-x); the textbook form is infinite below x = -88.
    if_positive = -positive_weight * ops.log_sigmoid(logits)
    if_negative = -negative_weight * ops.log_sigmoid(-logits)
    return sum_over_labels(labels, if_positive, if_negative, mask)


def _pieces(first_cells, second_cells):
    if first_cells is None or second_cells is None:
        raise ValueError(
            "The heatmap grids must have known sizes; resize the images to a fixed size first."
        )
    return common_pieces(first_cells, second_cells)


def _take_cells(heatmaps, rows, columns):
    heatmaps = ops.cast(heatmaps, "float32")
    if len(rows) != heatmaps.shape[1]:
        heatmaps = ops.take(heatmaps, rows, axis=1)
    if len(columns) != heatmaps.shape[2]:
        heatmaps = ops.take(heatmaps, columns, axis=2)
    return heatmaps
