"""Forms of consistency: how the maps of two views of an image are compared, by name.

Every form is a pure function `form(first, second, labels=None, mask=None)`:

Args:
    first: `[B, h, w, L]`, what the maps should be.
    second: `[B, h2, w2, L]`, what they are; grids of different sizes are compared as in
        `attention_consistency`.
    labels: Optional `[B, L]`, NaN where unknown; 0.7 (as of a mixture of images) is present by 0.7
        and absent by 0.3. None: all are present.
    mask: Optional `[h, w]`, 0 for the cells of `first` that are left out.

Returns:
    float32 `[B]`, at least 0.

Raises:
    ValueError: when the grid sizes are not known or the label counts differ.

All but `acvc` are 0 for equal maps, and all are symmetric in both but `acvc`, which chooses absent
labels by `first`. Whether a side gets no gradient is the caller's business.
"""

import dataclasses
import math
from collections.abc import Callable

from keras import ops

from vac_tf.geometry.tensors import Tensor
from vac_tf.losses.grid_pieces import on_common_pieces
from vac_tf.losses.multilabel import attention_consistency

_SMALLEST_VARIANCE = 1e-6
_SMALLEST_RANGE = 1e-5  # As SEAM's release.
_HARD_SHARE = 0.2
_ABSENT_LABELS = 3
_LOG_2 = math.log(2.0)


def squared_error(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Mean squared difference of the raw maps, over all labels (VAC, Equation 5)."""
    del labels
    return attention_consistency(first, second, mask)


def variance_normalized(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """The same, divided by the maps' own variance: shrinking all maps of an image gains nothing.

    The unit is the mean over labels and both sides of each map's variance over its cells, as of
    the relative inconsistency in `vac_tf.metrics.inconsistency`, for each image by itself. Maps of
    equal mean and variance that have nothing to do with each other cost 2.
    """
    del labels
    first, second, area = on_common_pieces(first, second, mask)
    variance = (_variance(first, area) + _variance(second, area)) / 2.0
    error = ops.mean(_map_mean(ops.square(first - second), area), axis=-1)
    return error / (ops.mean(variance, axis=-1) + _SMALLEST_VARIANCE)


def positive_squared_error(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Mean squared difference over the maps of the labels that are present; 0 without any."""
    return _mean_over(_present(labels, first), _squared_errors(first, second, mask))


def balanced_squared_error(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Mean squared difference over known labels, present ones weighted up.

    Those that are present count as much, together, as those that are absent; where all are of one
    kind, it is the mean over them.
    """
    errors = _squared_errors(first, second, mask)
    kinds = _present(labels, first), _absent(labels, first)
    num_kinds = sum(ops.max(kind, axis=-1) for kind in kinds)
    return sum(_mean_over(kind, errors) for kind in kinds) / ops.maximum(num_kinds, 1.0)


def positive_absolute_error(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Mean absolute difference over the maps of the labels that are present; 0 without any.

    The reconstruction loss of Puzzle-CAM (Jo & Yu, ICIP 2021) as its release masks it; there, the
    maps of an image are compared with those of its tiles, the sum is divided by the number of all
    labels, and the weight rises from 0 to 4.
    """
    present = _present(labels, first)
    first, second, area = on_common_pieces(first, second, mask)
    return _mean_over(present, _map_mean(ops.abs(first - second), area))


def hard_pixels(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Mean absolute difference of max-normalised maps over the hardest fifth of their area.

    The equivariant cross regularisation of SEAM (Wang et al., CVPR 2020, Section 3.4) without its
    pixel correlation module and its map of the background. Each map is cut at 0, and its smallest
    and largest value become 0 and 1. SEAM takes the fifth of the cells of all labels together, of
    which those of absent labels are 0; here it is a fifth of each present label's map. 0 without
    any.
    """
    present = _present(labels, first)
    first, second, area = on_common_pieces(first, second, mask)
    errors = ops.abs(_max_normalized(first, area) - _max_normalized(second, area))
    return _mean_over(present, _hardest_mean(errors, area))


def jensen_shannon(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Jensen-Shannon divergence in nats (at most log 2) of spatial softmaxes, over all labels.

    Each map is a distribution over its cells, so that its offset is nothing.
    """
    del labels
    return ops.mean(_divergence(*on_common_pieces(first, second, mask)), axis=-1)


def acvc(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Present labels look at one place, the likeliest absent ones at none.

    Attention Consistency on Visual Corruptions (Cugu et al., CVPR Workshops 2022), as its release
    computes it: the Jensen-Shannon divergence of the spatial softmaxes of present labels (the mean
    over them; its images have one), plus, for the three absent labels with the largest mean of
    `first`, the divergence of their softmaxes from the uniform distribution (sum over labels, mean
    over both sides). The release has the cross entropy in place of the latter, a constant more; its
    weight is 0.06.
    """
    present = _present(labels, first)
    absent = ops.floor(_absent(labels, first))  # What is present in part has a place, too.
    first, second, area = on_common_pieces(first, second, mask)
    positive = _mean_over(present, _divergence(first, second, area))
    score = ops.where(absent > 0, ops.stop_gradient(_map_mean(first, area)), -float("inf"))
    chosen = min(_ABSENT_LABELS, first.shape[-1])
    indices = ops.top_k(score, chosen)[1]
    peaked = (_divergence_from_uniform(first, area) + _divergence_from_uniform(second, area)) / 2.0
    # Where fewer labels are absent, the rest of the chosen ones is not.
    return positive + ops.sum(ops.take_along_axis(absent * peaked, indices, axis=-1), axis=-1)


def sigmoid_cells(
    first: Tensor, second: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Mean squared difference of the cells' probabilities, the sigmoids of the raw maps.

    Cells that are sure agree, whatever their size. The maps have no bias: with average pooling, the
    mean of a map and its label's bias are the logit.
    """
    return squared_error(_sigmoid(first), _sigmoid(second), labels, mask)


@dataclasses.dataclass(frozen=True)
class Form:
    """A form and what it can compare.

    Attributes:
        compare: the function.
        levels: `"heatmaps"`; `"features"`, whose channels are no labels; `"logits"`, which are
            maps of one cell.
    """

    compare: Callable[..., Tensor]
    levels: tuple[str, ...]


FORMS = {
    "squared_error": Form(squared_error, ("features", "heatmaps", "logits")),
    "variance_normalized": Form(variance_normalized, ("features", "heatmaps")),
    "positive_squared_error": Form(positive_squared_error, ("heatmaps", "logits")),
    "balanced_squared_error": Form(balanced_squared_error, ("heatmaps", "logits")),
    "positive_absolute_error": Form(positive_absolute_error, ("heatmaps", "logits")),
    "hard_pixels": Form(hard_pixels, ("features", "heatmaps")),
    "jensen_shannon": Form(jensen_shannon, ("features", "heatmaps")),
    "acvc": Form(acvc, ("heatmaps",)),
    "sigmoid_cells": Form(sigmoid_cells, ("heatmaps", "logits")),
}


def get_form(name: str, level: str) -> Callable[..., Tensor]:
    """The form of a name, for maps of a level.

    Raises:
        ValueError: an unknown form, or a level that it does not fit.
    """
    if name not in FORMS:
        raise ValueError(f"Unknown consistency_form {name!r}. Expected one of: {', '.join(FORMS)}.")
    form = FORMS[name]
    if level not in form.levels:
        fitting = [other for other in FORMS if level in FORMS[other].levels]
        raise ValueError(
            f"consistency_form {name!r} does not fit consistency_level {level!r}: it compares"
            f" {' or '.join(form.levels)}. Use such a level, or a form for {level}:"
            f" {', '.join(fitting)}."
        )
    return form.compare


# Labels


def _present(labels: Tensor, maps: Tensor) -> Tensor:
    """float32 `[B, L]`: how much a label is present; 0 where it is unknown."""
    if labels is None:
        return ops.ones((ops.shape(maps)[0], maps.shape[-1]), "float32")
    return _known(ops.cast(labels, "float32"))


def _absent(labels: Tensor, maps: Tensor) -> Tensor:
    if labels is None:
        return 1.0 - _present(labels, maps)
    return _known(1.0 - ops.cast(labels, "float32"))


def _known(labels: Tensor) -> Tensor:
    return ops.where(ops.isnan(labels), 0.0, labels)


def _mean_over(weights: Tensor, values: Tensor) -> Tensor:
    """Mean `[B]` of `values` `[B, L]` by the weights of labels; 0 without any."""
    return ops.sum(weights * values, axis=-1) / ops.maximum(ops.sum(weights, axis=-1), 1.0)


# Maps on common pieces `[B, rows, columns, L]` of areas `[1, rows, columns, 1]`, which sum to 1


def _map_mean(values: Tensor, area: Tensor) -> Tensor:
    return ops.sum(values * area, axis=(1, 2))


def _squared_errors(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    first, second, area = on_common_pieces(first, second, mask)
    return _map_mean(ops.square(first - second), area)


def _variance(maps: Tensor, area: Tensor) -> Tensor:
    centred = maps - ops.sum(maps * area, axis=(1, 2), keepdims=True)
    return _map_mean(ops.square(centred), area)


def _max_normalized(maps: Tensor, area: Tensor) -> Tensor:
    maps, is_counted = ops.relu(maps), area > 0
    largest = ops.max(ops.where(is_counted, maps, 0.0), axis=(1, 2), keepdims=True)
    smallest = ops.where(is_counted, maps, largest)
    smallest = ops.min(smallest, axis=(1, 2), keepdims=True)
    return (maps - smallest) / (largest - smallest + _SMALLEST_RANGE)


def _hardest_mean(errors: Tensor, area: Tensor) -> Tensor:
    """Mean over the part of the area, a fifth of it, in which the errors are largest."""
    errors, area = _flat(errors), _flat(ops.broadcast_to(area, ops.shape(errors)))
    # Pieces that are masked out come last, and have no area.
    errors, order = ops.top_k(ops.where(area > 0, errors, -1.0), errors.shape[-1])
    area = ops.take_along_axis(area, order, axis=-1)
    harder = ops.cumsum(area, axis=-1) - area
    share = ops.minimum(ops.maximum(_HARD_SHARE - harder, 0.0), area)
    return ops.sum(errors * share, axis=-1) / _HARD_SHARE


def _flat(maps: Tensor) -> Tensor:
    """`[B, L, rows * columns]`."""
    pieces = maps.shape[1] * maps.shape[2]
    return ops.reshape(ops.transpose(maps, (0, 3, 1, 2)), (-1, maps.shape[3], pieces))


def _log_softmax(maps: Tensor, area: Tensor) -> Tensor:
    """Logarithm of the density of the spatial softmax, relative to the uniform one."""
    largest = ops.where(area > 0, maps, -float("inf"))
    largest = ops.stop_gradient(ops.max(largest, axis=(1, 2), keepdims=True))
    # A piece that is left out may be larger than all others.
    maps = ops.minimum(maps - largest, 0.0)
    return maps - ops.log(ops.sum(ops.exp(maps) * area, axis=(1, 2), keepdims=True))


def _divergence(first: Tensor, second: Tensor, area: Tensor) -> Tensor:
    """Jensen-Shannon divergence `[B, L]` of the spatial softmaxes."""
    first, second = _log_softmax(first, area), _log_softmax(second, area)
    # log(p / mixture) = log 2 - softplus(log q - log p); logaddexp has no gradient at p = q.
    terms = ops.exp(first) * (_LOG_2 - ops.softplus(second - first))
    terms += ops.exp(second) * (_LOG_2 - ops.softplus(first - second))
    return ops.maximum(_map_mean(terms, area) / 2.0, 0.0)


def _divergence_from_uniform(maps: Tensor, area: Tensor) -> Tensor:
    """Kullback-Leibler divergence `[B, L]` of the spatial softmax from the uniform distribution."""
    return ops.maximum(-_map_mean(_log_softmax(maps, area), area), 0.0)


def _sigmoid(maps: Tensor) -> Tensor:
    return ops.sigmoid(ops.cast(maps, "float32"))
