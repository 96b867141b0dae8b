"""Losses that look away from what is easy: focal and asymmetric loss.

`p` is the sigmoid of a logit. Both are computed from logits, so that no logit gives a value or a
gradient that is not finite, and return float32 `[B]`: the sum over labels.
"""

from keras import ops

from vac_tf.geometry.tensors import Tensor
from vac_tf.losses.label_terms import sum_over_labels

# Keeps the slope of a root finite where the shifted probability of a negative is 0.
_SMALLEST = 1e-7


def focal_loss(
    labels: Tensor,
    logits: Tensor,
    mask: Tensor | None = None,
    focusing: float = 2.0,
    balance: float | None = 0.25,
) -> Tensor:
    """Focal loss (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, Equation 5).

    A positive costs `-balance * (1 - p)^focusing * log(p)`, a negative
    `-(1 - balance) * p^focusing * log(1 - p)`.

    Args:
        labels: `[B, L]` in [0, 1]; where `mask` is 0 anything, NaN included.
        logits: `[B, L]`.
        mask: Optional `[B, L]`, 0 where a label is unknown and 1 elsewhere.
        focusing: gamma, not negative; 0: the weighted cross entropy.
        balance: alpha, the weight of positives, in (0, 1); None: both weigh 1.

    Returns:
        float32 `[B]`: the sum over labels.
    """
    logits = ops.cast(logits, "float32")
    weight, other_weight = (1.0, 1.0) if balance is None else (balance, 1.0 - balance)
    return sum_over_labels(
        labels,
        weight * _focused_cross_entropy(logits, focusing, detach_focusing=False),
        other_weight * _focused_cross_entropy(-logits, focusing, detach_focusing=False),
        mask,
    )


def asymmetric_loss(
    labels: Tensor,
    logits: Tensor,
    mask: Tensor | None = None,
    focusing_positive: float = 0.0,
    focusing_negative: float = 4.0,
    probability_margin: float = 0.05,
    detach_focusing: bool = False,
) -> Tensor:
    """Asymmetric loss (Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021).

    A positive costs `-(1 - p)^focusing_positive * log(p)`, a negative
    `-q^focusing_negative * log(1 - q)` with `q = max(p - probability_margin, 0)` (Equations 4 to
    7): a negative of a probability below the margin costs nothing. The defaults are the paper's
    for MS-COCO.

    Args:
        labels: `[B, L]` in [0, 1]; where `mask` is 0 anything, NaN included.
        logits: `[B, L]`.
        mask: Optional `[B, L]`, 0 where a label is unknown and 1 elsewhere.
        focusing_positive: gamma+, not negative.
        focusing_negative: gamma-, not negative.
        probability_margin: m, in [0, 1). With both gammas and m at 0: the cross entropy.
        detach_focusing: The focusing factors are constants to the gradient, as in the training
            script of the authors' release; the paper's equations have the whole gradient.

    Returns:
        float32 `[B]`: the sum over labels.
    """
    logits = ops.cast(logits, "float32")
    if probability_margin:
        if_negative = _shifted_negative(
            logits, focusing_negative, probability_margin, detach_focusing
        )
    else:
        if_negative = _focused_cross_entropy(-logits, focusing_negative, detach_focusing)
    if_positive = _focused_cross_entropy(logits, focusing_positive, detach_focusing)
    return sum_over_labels(labels, if_positive, if_negative, mask)


def _focused_cross_entropy(logits: Tensor, focusing: float, detach_focusing: bool) -> Tensor:
    """`-(1 - p)^focusing * log(p)`: of positives; of negatives with minus the logits."""
    cross_entropy = -ops.log_sigmoid(logits)
    if not focusing:
        return cross_entropy
    # A power of 1 - p = sigmoid(-x) would have an infinite slope where it underflows.
    return _constant_if(detach_focusing, ops.exp(focusing * ops.log_sigmoid(-logits))) * (
        cross_entropy
    )


def _shifted_negative(
    logits: Tensor, focusing: float, margin: float, detach_focusing: bool
) -> Tensor:
    # 1 - q; exact for large logits, whose 1 - p a subtraction would round away.
    rest = ops.minimum(ops.sigmoid(-logits) + margin, 1.0)
    cross_entropy = -ops.log(rest)
    if not focusing:
        return cross_entropy
    shifted = ops.maximum(ops.sigmoid(logits) - margin, _SMALLEST)
    return _constant_if(detach_focusing, ops.power(shifted, focusing)) * cross_entropy


def _constant_if(is_constant: bool, values: Tensor) -> Tensor:
    return ops.stop_gradient(values) if is_constant else values
