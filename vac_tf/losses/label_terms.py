"""How the loss of an example comes from its labels: soft, smoothed or unknown ones included."""

from keras import ops

from vac_tf.geometry.tensors import Tensor


def sum_over_labels(
    labels: Tensor, if_positive: Tensor, if_negative: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Sum over labels of the loss, which a label y takes y times from that of a positive.

    Args:
        labels: `[B, L]` in [0, 1]; a soft label (of smoothing or mixing) is that share of a
            positive and the rest of a negative. Where `mask` is 0 anything, NaN included.
        if_positive: float32 `[B, L]`, finite: the loss of a positive.
        if_negative: float32 `[B, L]`, finite: the loss of a negative.
        mask: Optional `[B, L]`, 0 where a label is unknown and 1 elsewhere.

    Returns:
        float32 `[B]`.
    """
    if mask is not None:
        # A NaN label times a zero mask would still be NaN.
        labels = ops.where(ops.cast(mask, "bool"), labels, ops.zeros_like(labels))
    labels = ops.cast(labels, "float32")
    losses = labels * if_positive + (1.0 - labels) * if_negative
    if mask is not None:
        losses = losses * ops.cast(mask, "float32")
    return ops.sum(losses, axis=-1)


def smooth_labels(labels: Tensor, smoothing: float) -> Tensor:
    """Labels drawn towards 1/2: `(1 - smoothing) * labels + smoothing / 2`; NaN stays NaN.

    Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, Section 7, with the two
    answers of each label as its classes. A positive becomes `1 - smoothing / 2`.

    Args:
        labels: `[B, L]` in [0, 1] or NaN (unknown).
        smoothing: In [0, 1); 0 returns the labels as they are.

    Returns:
        `[B, L]`, of the dtype of the labels.
    """
    return labels if not smoothing else (1.0 - smoothing) * labels + 0.5 * smoothing
