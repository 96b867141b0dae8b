"""What positives and negatives of a label weigh, from the proportion p of its positives.

All take float32 `[L]` in [0, 1] and return the two weights, float32 `[L]`, finite for every p.
"""

from keras import ops

from vac_tf.geometry.tensors import Tensor

# No weight that grows without limit is that of a rarer label (or a rarer negative) than this.
_RAREST = 1e-3


def exponential(ratio: Tensor) -> tuple[Tensor, Tensor]:
    """`exp(1 - p)` and `exp(p)` (Li, Chen and Huang, DeepMAR, ACPR 2015; VAC, Equation 3)."""
    return ops.exp(1.0 - ratio), ops.exp(ratio)


def square_root(ratio: Tensor) -> tuple[Tensor, Tensor]:
    """`sqrt(1 / (2 sqrt(p)))` and `sqrt(1 / (2 (1 - sqrt(p))))`.

    The second form of `ratio2weight` in the release of "Rethinking of Pedestrian Attribute
    Recognition" (Jia et al., 2021). p counts as at least 0.001 and at most 0.999.
    """
    root = ops.sqrt(_clipped(ratio))
    return ops.sqrt(0.5 / root), ops.sqrt(0.5 / (1.0 - root))


def balanced(ratio: Tensor) -> tuple[Tensor, Tensor]:
    """`1 - p` and `p`: inverse frequencies of sum 1; both answers weigh alike over a data set."""
    return 1.0 - ratio, ratio


def inverse(ratio: Tensor) -> tuple[Tensor, Tensor]:
    """`(1 - p) / p` and 1, the plain inverse ratio (PyTorch's `pos_weight`); p at least 0.001."""
    return (1.0 - ratio) / ops.maximum(ratio, _RAREST), ops.ones_like(ratio)


def _clipped(ratio: Tensor) -> Tensor:
    return ops.clip(ratio, _RAREST, 1.0 - _RAREST)


LABEL_WEIGHTS = {
    "exponential": exponential,
    "square_root": square_root,
    "balanced": balanced,
    "inverse": inverse,
}
