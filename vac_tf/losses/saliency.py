"""Losses between a map of logits and human fixations, by name, and weighted sums of them.

All take logits `[B, H, W]`, density `[B, H, W]` (sum 1) and counts of fixations `[B, H, W]`, and
return float32 `[B]`, lower is better. The predicted density is the softmax of the logits over all
pixels. Definitions as in `vac_tf.metrics.saliency`, whose sources apply.
"""

from keras import ops

from vac_tf.geometry.tensors import Tensor

# Keeps the gradient of a square root finite where a map is constant.
_EPSILON = 1e-6


def kld(logits: Tensor, density: Tensor, counts: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the density from the prediction, in nats."""
    del counts
    entropy = ops.where(density > 0, density * ops.log(ops.maximum(density, 1e-30)), 0.0)
    return ops.sum(entropy - density * _log_softmax(logits), axis=(1, 2))


def cc(logits: Tensor, density: Tensor, counts: Tensor) -> Tensor:
    """1 - Pearson's correlation of prediction and density."""
    del counts
    first, second = _standardised(_relative(logits)), _standardised(density * _pixels(density))
    return 1.0 - ops.mean(first * second, axis=(1, 2))


def nss(logits: Tensor, density: Tensor, counts: Tensor) -> Tensor:
    """Minus the normalised scanpath saliency; a cell counts as often as it was fixated."""
    del density
    total = ops.maximum(ops.sum(counts, axis=(1, 2)), 1.0)
    return -ops.sum(counts * _standardised(_relative(logits)), axis=(1, 2)) / total


def sim(logits: Tensor, density: Tensor, counts: Tensor) -> Tensor:
    """1 - similarity, the intersection of prediction and density."""
    del counts
    return 1.0 - ops.sum(ops.minimum(ops.exp(_log_softmax(logits)), density), axis=(1, 2))


def bce(logits: Tensor, density: Tensor, counts: Tensor) -> Tensor:
    """Binary cross entropy of the sigmoid of the logits, the target being the density over its
    largest value (0..1), mean over pixels.

    The order of pixels is learnt, not a density: use it together with another loss.
    """
    del counts
    target = density / ops.maximum(ops.max(density, axis=(1, 2), keepdims=True), 1e-30)
    terms = ops.relu(logits) - logits * target + ops.softplus(-ops.abs(logits))
    return ops.mean(terms, axis=(1, 2))


LOSSES = {"kld": kld, "cc": cc, "nss": nss, "sim": sim, "bce": bce}


def parse_losses(text: str) -> dict[str, float]:
    """Weight of each loss, from `"kld"` (weight 1) or `"kld:1,cc:0.5"`.

    Raises:
        ValueError: an unknown or repeated name, or a weight that is no positive number.
    """
    weights = {}
    for item in text.split(","):
        name, _, number = item.strip().partition(":")
        if name not in LOSSES:
            raise ValueError(
                f"losses {text!r}: unknown loss {name!r}. Expected names of"
                f" {', '.join(LOSSES)} with weights, as in kld:1,cc:0.5."
            )
        if name in weights:
            raise ValueError(f"losses {text!r}: {name} is named twice.")
        try:
            weights[name] = float(number or 1.0)
        except ValueError:
            raise ValueError(f"losses {text!r}: {number!r} is no number.") from None
        if not 0.0 < weights[name] < float("inf"):
            raise ValueError(f"losses {text!r}: weights must be positive, got {number}.")
    return weights


def _log_softmax(logits: Tensor) -> Tensor:
    flat = ops.reshape(logits, (ops.shape(logits)[0], -1))
    return ops.reshape(ops.log_softmax(flat, axis=-1), ops.shape(logits))


def _pixels(maps: Tensor) -> Tensor:
    return ops.cast(ops.shape(maps)[1] * ops.shape(maps)[2], "float32")


def _relative(logits: Tensor) -> Tensor:
    """The predicted density relative to the uniform one, so that its mean is 1."""
    return ops.exp(_log_softmax(logits)) * _pixels(logits)


def _standardised(maps: Tensor) -> Tensor:
    centred = maps - ops.mean(maps, axis=(1, 2), keepdims=True)
    variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
    return centred / ops.sqrt(variance + _EPSILON)
