"""Labels that exclude each other: the softmax over the logits of a group, and its loss."""

from collections.abc import Callable, Sequence

import numpy as np
from keras import ops

from vac_tf.configs.label_groups.group import SLACK, LabelGroup
from vac_tf.geometry.tensors import Tensor

Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]

# Logit of an answer that there is not. Every exponential of it is 0, and it is a float16 too.
_NEVER = -60000.0


def grouped_probabilities(logits: Tensor, groups: Sequence[LabelGroup]) -> Tensor:
    """Probabilities float32 `[B, L]`: the softmax of each group's logits, else the sigmoid.

    Where none of a group may hold, that is one answer more, whose logit is 0.
    """
    logits = ops.cast(logits, "float32")
    sigmoids = ops.sigmoid(logits)
    if not groups:
        return sigmoids
    table, place = _tables(groups, logits.shape[-1])
    softmax = ops.softmax(_gathered(logits, table, 0.0, _NEVER), axis=-1)
    softmax = ops.reshape(softmax, (-1, table.size))
    return ops.take(ops.concatenate([sigmoids, softmax], axis=-1), place, axis=-1)


def grouped_cross_entropy(
    labels: Tensor,
    logits: Tensor,
    groups: Sequence[LabelGroup],
    mask: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Softmax cross entropy over the logits of each group, summed over the groups.

    A group counts where exactly one of its labels is positive (whatever of the others is unknown),
    where soft labels sum to 1, and, where none may hold, also where all are known and sum to less:
    the rest is the share of "none". Images that contradict the group, or say nothing of it, cost
    nothing.

    Args:
        labels: `[B, L]` in [0, 1]; where `mask` is 0 anything, NaN included.
        logits: `[B, L]`.
        groups: of the labels.
        mask: Optional `[B, L]`, 0 where a label is unknown and 1 elsewhere.
        smoothing: draws the shares of a group's answers towards equal ones (Szegedy et al., CVPR
            2016, Section 7).

    Returns:
        float32 `[B]`.
    """
    logits = ops.cast(logits, "float32")
    known = ops.ones_like(logits) if mask is None else ops.cast(mask, "float32")
    labels = ops.cast(ops.where(known > 0, labels, ops.zeros_like(labels)), "float32")
    table, _ = _tables(groups, logits.shape[-1])
    shares = _gathered(labels, table, 0.0, 0.0)
    total = ops.sum(shares, axis=-1)
    at_most_one = np.array([group.at_most_one for group in groups])
    all_known = ops.min(_gathered(known, table, 1.0, 1.0), axis=-1) > 0
    none_may_be = ops.logical_and(all_known, at_most_one)
    is_one = ops.abs(total - 1.0) <= SLACK
    counts = ops.logical_or(is_one, ops.logical_and(none_may_be, total < 1.0))
    total, is_none = total[..., None], (table == logits.shape[-1]).astype(np.float32)
    shares = ops.where(
        is_one[..., None], shares / ops.maximum(total, 0.5), shares + (1.0 - total) * is_none
    )
    is_answer = (table <= logits.shape[-1]).astype(np.float32)
    shares = (1.0 - smoothing) * shares + smoothing * is_answer / is_answer.sum(-1, keepdims=True)
    log_probabilities = ops.log_softmax(_gathered(logits, table, 0.0, _NEVER), axis=-1)
    losses = -ops.sum(shares * log_probabilities, axis=-1)
    return ops.sum(losses * ops.cast(counts, "float32"), axis=-1)


def with_label_groups(
    loss: Loss, groups: Sequence[LabelGroup], num_labels: int, smoothing: float = 0.0
) -> Loss:
    """A loss `[B]` of labels, logits, ratio and mask, with the cross entropy of groups for theirs.

    Args:
        loss: of the labels that are in no group, see `vac_tf.training.step.classification_loss`.
        groups: of the labels; none: the loss itself.
        num_labels: L.
        smoothing: of the groups; that of the others is the loss's own.
    """
    if not groups:
        return loss
    grouped = {column for group in groups for column in group.columns}
    others = np.array([c for c in range(num_labels) if c not in grouped], np.int32)

    def loss_with_groups(
        labels: Tensor, logits: Tensor, positive_ratio: Tensor, mask: Tensor | None
    ) -> Tensor:
        of_groups = grouped_cross_entropy(labels, logits, groups, mask, smoothing)
        if not len(others):
            return of_groups
        of_others = loss(
            ops.take(labels, others, axis=-1),
            ops.take(logits, others, axis=-1),
            ops.take(positive_ratio, others, axis=-1),
            None if mask is None else ops.take(mask, others, axis=-1),
        )
        return of_others + of_groups

    return loss_with_groups


def _tables(groups: Sequence[LabelGroup], num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the answers of each group are found, and where those of each label go.

    Returns:
        int `[G, K]`: columns; `num_labels` is "none", one more than that no answer. int `[L]`:
        place among L sigmoids and the flat answers of all groups.
    """
    longest = max(len(group.columns) + group.at_most_one for group in groups)
    table = np.full((len(groups), longest), num_labels + 1, np.int32)
    place = np.arange(num_labels, dtype=np.int32)
    for row, group in enumerate(groups):
        answers = (*group.columns, *([num_labels] if group.at_most_one else []))
        table[row, : len(answers)] = answers
        for number, column in enumerate(group.columns):
            place[column] = num_labels + row * longest + number
    return table, place


def _gathered(values: Tensor, table: np.ndarray, none: float, absent: float) -> Tensor:
    """Values `[B, L]` as `[B, G, K]`, with numbers for "none" and for no answer."""
    more = ops.concatenate(
        [ops.full_like(values[:, :1], none), ops.full_like(values[:, :1], absent)], axis=-1
    )
    taken = ops.take(ops.concatenate([values, more], axis=-1), table.reshape(-1), axis=-1)
    return ops.reshape(taken, (-1, *table.shape))
