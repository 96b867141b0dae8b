"""Thresholds per label, tuned on labelled images and shrunk for rare labels. NumPy only."""

import dataclasses

import numpy as np

from vac_tf.decisions.objectives import (
    NEVER,
    Objective,
    best_shared_threshold,
    best_threshold,
    find_cuts,
)

DEFAULT_SHRINKAGE = 10.0


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Tuned thresholds of L labels.

    Attributes:
        values: float32 `[L]`; a label is decided when its float32 probability is above its own.
        global_value: The one threshold that is best for all labels together, see
            `tune_thresholds`.
        without_positives: bool `[L]`, labels that took the global threshold because no positive
            (for an alarm rate: no known image) was there to tune on.
        never: bool `[L]`, labels for which no cut reaches the precision floor (without positives:
            not the global one either): never decided.
    """

    values: np.ndarray
    global_value: np.float32
    without_positives: np.ndarray
    never: np.ndarray


def tune_thresholds(
    labels: np.ndarray,
    probabilities: np.ndarray,
    objective: Objective,
    shrinkage: float = DEFAULT_SHRINKAGE,
) -> Thresholds:
    """Tunes one threshold per label.

    The best cut through few positives is mostly chance. So the own threshold `t` of a label with
    n positives is drawn towards the global one `g`: for F-beta the one threshold with the largest
    mean over labels, for a precision or alarm rate that of the cells of all labels pooled.

        logit(result) = (n logit(t) + shrinkage logit(g)) / (n + shrinkage)

    With `shrinkage` positives a label lies half-way. Two exceptions: a drawn threshold that breaks
    the precision floor on these images is not taken; and an alarm rate is not drawn at all,
    since it does not rest on positives.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out, as though the image were not there).
        probabilities: `[N, L]`, decided as float32.
        objective: What to tune for.
        shrinkage: In positives; 0: none.

    Raises:
        ValueError: when no label has a positive.
    """
    probabilities = probabilities.astype(np.float32)
    known = ~np.isnan(labels)
    positives = (labels == 1).sum(axis=0)
    if not positives.any():
        raise ValueError("No label has a positive among these images: nothing to tune on.")
    by_rate = objective.kind == "alarm_rate"
    without = known.sum(axis=0) == 0 if by_rate else positives == 0
    columns = {
        label: (labels[known[:, label], label], probabilities[known[:, label], label])
        for label in np.flatnonzero(~without)
    }
    cuts = {label: find_cuts(*column) for label, column in columns.items()}
    if objective.kind == "fbeta":
        global_value = best_shared_threshold(list(cuts.values()), objective)
    else:
        global_value = best_threshold(find_cuts(labels[known], probabilities[known]), objective)

    values = np.full(labels.shape[1], global_value, np.float32)
    for label, column in columns.items():
        values[label] = best_threshold(cuts[label], objective)
        if not by_rate:
            drawn = _draw(values[label], global_value, positives[label], shrinkage)
            if objective.kind != "precision" or _reaches(*column, drawn, objective.value):
                values[label] = drawn
    if objective.kind == "precision":
        # Every alarm of a label without positives is false.
        alarms = (known & (probabilities > global_value)).any(axis=0)
        values[without & alarms] = NEVER
        without = without & ~alarms
    return Thresholds(values, global_value, without, (values == NEVER) & ~without & (not by_rate))


def _draw(own, global_value, positives: int, shrinkage: float) -> np.float32:
    """`own` drawn towards `global_value`; a threshold of 0 or 1 has no logit and stays."""
    if not (0.0 < own < 1.0 and 0.0 < global_value < 1.0):
        return own
    share = positives / (positives + shrinkage)
    logits = [np.log(value) - np.log1p(-value) for value in (float(own), float(global_value))]
    drawn = np.float32(1 / (1 + np.exp(-(share * logits[0] + (1 - share) * logits[1]))))
    return own if share == 1.0 else drawn


def _reaches(labels, probabilities, threshold, floor: float) -> bool:
    """Whether the scores above `threshold` are at least one, and positives to `floor`."""
    decided = labels[probabilities > threshold]
    return bool(len(decided) and np.mean(decided == 1) >= floor)
