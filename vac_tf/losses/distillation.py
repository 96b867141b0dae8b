"""What a network learns from a teacher: its logits, and where its heatmaps look.

The gradient goes to the student only. No label is needed: an image whose labels are unknown is
taught like any other.
"""

from collections.abc import Sequence

import numpy as np
from keras import ops

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.geometry.resizing import resize_linearly
from vac_tf.geometry.tensors import Tensor

# Largest value below which a heatmap counts as flat, and is not normalised.
_FLAT = 1e-3


def logits_distillation(
    teacher: Tensor,
    student: Tensor,
    temperature: float = 1.0,
    groups: Sequence[LabelGroup] = (),
) -> Tensor:
    """Divergence of the student's probabilities from the teacher's, both softened.

    Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), Section 2: logits are
    divided by a temperature T, and the result is multiplied by T^2, which keeps the size of its
    gradient. Of a label on its own it is the Kullback-Leibler divergence of its two answers (one
    binary problem a label, as "Multi-Label Knowledge Distillation" of Yang et al., ICCV 2023, has
    it for logits); of labels that exclude each other that of the group's softmax, where "none" is
    an answer with the logit 0 if none may hold.

    Args:
        teacher: `[B, L]` logits, taken as constants.
        student: `[B, L]` logits.
        temperature: T, above 0.
        groups: labels that exclude each other.

    Returns:
        float32 `[B]`: the sum over labels and groups, at least 0 but for rounding; 0 for equal
        logits.
    """
    teacher = ops.stop_gradient(ops.cast(teacher, "float32")) / temperature
    student = ops.cast(student, "float32") / temperature
    grouped = {column for group in groups for column in group.columns}
    alone = np.array([c for c in range(student.shape[-1]) if c not in grouped], np.int32)
    total = ops.zeros_like(student[:, 0])
    if len(alone):
        given, own = (ops.take(logits, alone, axis=-1) for logits in (teacher, student))
        positive = ops.sigmoid(given) * (ops.log_sigmoid(given) - ops.log_sigmoid(own))
        # 1 - sigmoid(x) loses all digits where x is large.
        negative = ops.sigmoid(-given) * (ops.log_sigmoid(-given) - ops.log_sigmoid(-own))
        total += ops.sum(positive + negative, axis=-1)
    for group in groups:
        given, own = (_log_answers(logits, group) for logits in (teacher, student))
        total += ops.sum(ops.exp(given) * (given - own), axis=-1)
    return temperature**2 * total


def heatmaps_distillation(teacher: Tensor, student: Tensor) -> Tensor:
    """Squared distance of the student's heatmaps from the teacher's, each of norm 1.

    Zagoruyko & Komodakis, "Paying More Attention to Attention" (ICLR 2017), Equation 2 with p = 2,
    squared, for the heatmap of each label in the place of their one map of all channels: it says
    where a network looks, whatever the size of its values. It is `2 - 2 cos` of the two maps, so
    that it lies in 0..4. Maps of no value beyond 0.001 are shrunk to below norm 1, not blown up.

    Args:
        teacher: `[B, h, w, L]` heatmaps, taken as constants; resized to the student's grid, with
            antialiasing.
        student: `[B, h2, w2, L]` heatmaps.

    Returns:
        float32 `[B]`: the mean over labels; 0 for equal heatmaps.

    Raises:
        ValueError: the sizes of the grids are not known, or the label counts differ.
    """
    if None in (*teacher.shape[1:], *student.shape[1:]) or teacher.shape[-1] != student.shape[-1]:
        raise ValueError(
            "Heatmaps of a teacher and a student need known grids and the same labels, got shapes"
            f" {teacher.shape} and {student.shape}."
        )
    rows, columns = student.shape[1:3]
    teacher = resize_linearly(ops.stop_gradient(teacher), rows, columns)
    differences = ops.square(_of_norm_one(teacher) - _of_norm_one(student))
    return ops.mean(ops.sum(differences, axis=(1, 2)), axis=-1)


def _log_answers(logits: Tensor, group: LabelGroup) -> Tensor:
    answers = ops.take(logits, np.array(group.columns, np.int32), axis=-1)
    if group.at_most_one:
        answers = ops.concatenate([answers, ops.zeros_like(answers[:, :1])], axis=-1)
    return ops.log_softmax(answers, axis=-1)


def _of_norm_one(heatmaps: Tensor) -> Tensor:
    heatmaps = ops.cast(heatmaps, "float32")
    largest = ops.max(ops.abs(heatmaps), axis=(1, 2), keepdims=True)
    # By its largest value first, a map of any size has squares that are finite, and at least one.
    heatmaps = heatmaps / ops.stop_gradient(ops.maximum(largest, _FLAT))
    squares = ops.sum(ops.square(heatmaps), axis=(1, 2), keepdims=True)
    return heatmaps * ops.rsqrt(ops.maximum(squares, 1.0))
