"""Losses: pure functions of logits and heatmaps, one value per example, in float32.

Visual Attention Consistency (Guo et al., CVPR 2019) is cited as VAC; Visual Attention in
Multi-Label Image Classification (2019) as the dual-stream paper.
"""

from keras import ops

from vac_tf.geometry.tensors import Tensor
from vac_tf.losses.grid_pieces import on_common_pieces
from vac_tf.losses.label_terms import sum_over_labels
from vac_tf.losses.label_weights import LABEL_WEIGHTS


def weighted_sigmoid_cross_entropy(
    labels: Tensor,
    logits: Tensor,
    positive_ratio: Tensor,
    mask: Tensor | None = None,
    label_weights: str = "exponential",
) -> Tensor:
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

    Raises:
        KeyError: an unknown name of weights.
    """
    weights = LABEL_WEIGHTS[label_weights](ops.cast(positive_ratio, "float32"))
    return _cross_entropy(labels, logits, *weights, mask)


def sigmoid_cross_entropy(labels: Tensor, logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sigmoid cross entropy, every label of the same weight.

    Args:
        labels: `[B, L]` in [0, 1]; where `mask` is 0 anything, NaN included.
        logits: `[B, L]`.
        mask: Optional `[B, L]`, 0 where a label is unknown and 1 elsewhere.

    Returns:
        float32 `[B]`: the sum over labels.
    """
    return _cross_entropy(labels, logits, 1.0, 1.0, mask)


def multiple_cross_entropy(labels: Tensor, logit_pairs: Tensor) -> Tensor:
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


def attention_consistency(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference of two stacks of heatmaps (VAC, Equation 5).

    Grids of different sizes are compared as by `vac_tf.losses.grid_pieces.on_common_pieces`.

    Args:
        first: `[B, h, w, L]`.
        second: `[B, h2, w2, L]`.
        mask: Optional `[h, w]`, 0 for the cells of `first` that are left out of the mean.

    Returns:
        float32 `[B]`: the mean over labels and (valid) cells.

    Raises:
        ValueError: when the grid sizes are not known or the label counts differ.
    """
    first, second, area = on_common_pieces(first, second, mask)
    return ops.mean(ops.sum(ops.square(first - second) * area, axis=(1, 2)), axis=-1)


def _cross_entropy(
    labels: Tensor, logits: Tensor, positive_weight: Tensor, negative_weight: Tensor, mask: Tensor
) -> Tensor:
    logits = ops.cast(logits, "float32")
    # log(1 - sigmoid(x)) = log_sigmoid(-x); the textbook form is infinite below x = -88.
    if_positive = -positive_weight * ops.log_sigmoid(logits)
    if_negative = -negative_weight * ops.log_sigmoid(-logits)
    return sum_over_labels(labels, if_positive, if_negative, mask)
