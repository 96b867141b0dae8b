"""Calibration of labels that exclude each other: one scale for the logits of a group.

Source of the offsets: Alexandari, Kundaje and Shrikumar, "Maximum Likelihood with Bias-Corrected
Calibration is Hard-To-Beat at Label Shift Adaptation", ICML 2020, Section 4 (BCTS).
"""

import numpy as np
import scipy.optimize
import scipy.special

from vac_tf.configs.label_groups.group import NONE, LabelGroup


def fit_group(
    labels: np.ndarray,
    logits: np.ndarray,
    group: LabelGroup,
    scale_range: tuple[float, float],
    offset_range: tuple[float, float],
    shrinkage: float,
) -> np.ndarray:
    """The scale and the offsets of a group with the smallest negative log-likelihood.

    The probabilities are softmax(scale * logit + offset); the logit of "none" stays 0. Scale and
    offsets are drawn towards 1 and 0, as by `shrinkage` images.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN; images that contradict the group or say nothing of it
            are left out.
        logits: `[N, L]`.
        group: of K labels.
        scale_range, offset_range: limits; offsets of (0, 0) are not fitted.
        shrinkage: in images; 0: none.

    Returns:
        float64 `[K, 2]`: scale and offset of each label; 1 and 0 without any image.
    """
    answers, count = group.answers(labels), len(group.columns)
    usable = (answers >= 0) | ((answers == NONE) & group.at_most_one)
    if not usable.any():
        return np.tile([1.0, 0.0], (count, 1))
    own = logits[np.ix_(usable, list(group.columns))].astype(np.float64)
    own = np.pad(own, ((0, 0), (0, int(group.at_most_one))))
    truth = np.eye(own.shape[1])[np.where(answers[usable] == NONE, count, answers[usable])]

    def loss_and_gradient(parameters):
        moved = parameters[0] * own
        moved[:, :count] += parameters[1:]
        excess = scipy.special.softmax(moved, axis=1) - truth
        loss = np.mean(scipy.special.logsumexp(moved, axis=1) - np.sum(truth * moved, axis=1))
        gradient = [np.mean(np.sum(excess * own, axis=1)), *excess[:, :count].mean(axis=0)]
        return loss, np.array(gradient)

    found = scipy.optimize.minimize(
        loss_and_gradient,
        np.array([1.0, *np.zeros(count)]),
        jac=True,
        method="L-BFGS-B",
        bounds=[scale_range, *[offset_range] * count],
        options={"ftol": 1e-12, "gtol": 1e-8},
    ).x
    scale, offsets = found[0], found[1:]
    if not group.at_most_one:
        offsets = offsets - offsets.mean()  # Moving all of them alike changes nothing.
    images = truth.sum(axis=0)[:count]
    scale = (len(own) * scale + shrinkage) / (len(own) + shrinkage)
    offsets = images * offsets / np.maximum(images + shrinkage, 1.0)
    return np.stack([np.full(count, scale), offsets], axis=1)
