"""Probabilities and decisions of labels that exclude each other. NumPy only.

The probabilities of a group are the softmax of its logits; where none may hold, that is one answer
more, whose logit is 0 (so that a group of one label would have the sigmoid's probability).
"""

from collections.abc import Sequence

import numpy as np
import scipy.special

from vac_tf.configs.label_groups.group import LabelGroup


def log_odds(logits: np.ndarray, groups: Sequence[LabelGroup]) -> np.ndarray:
    """Logits `[N, L]` whose sigmoids are the probabilities, which rank images and decide.

    Those of labels in no group stay as they are. Of a label in a group it is what its logit is
    above the log-sum-exp of the others': log(p / (1 - p)).

    Returns:
        Of the dtype of `logits`; `logits` itself without groups.
    """
    if not groups:
        return logits
    result = np.array(logits)
    for group in groups:
        own = logits[:, list(group.columns)].astype(np.float64)
        for place, column in enumerate(group.columns):
            others = np.delete(own, place, axis=1)
            if group.at_most_one:
                others = np.pad(others, ((0, 0), (0, 1)))
            result[:, column] = own[:, place] - scipy.special.logsumexp(others, axis=1)
    return result


def decide(
    probabilities: np.ndarray, thresholds: np.ndarray | float, groups: Sequence[LabelGroup]
) -> np.ndarray:
    """Which labels are decided, bool `[N, L]`.

    A label in no group where its float32 probability is above its threshold; of a group the most
    probable label, the first of equal ones. Where none may hold, only above its threshold.

    Args:
        probabilities: `[N, L]`.
        thresholds: one number, or float32 `[L]` or `[N, L]`.
        groups: of the labels.
    """
    probabilities = probabilities.astype(np.float32, copy=False)
    above = probabilities > np.asarray(thresholds, np.float32)
    for group in groups:
        columns = list(group.columns)
        own = probabilities[:, columns]
        chosen = own.argmax(axis=1)[:, None] == np.arange(len(columns))
        above[:, columns] = chosen & above[:, columns] if group.at_most_one else chosen
    return above


def distance_to_other_decision(
    probabilities: np.ndarray, thresholds: np.ndarray, groups: Sequence[LabelGroup]
) -> np.ndarray:
    """How much every probability must change before a label can be decided otherwise, `[N, L]`.

    That is the distance to the threshold; in a group also half of that to the highest of the
    others, since both may move.
    """
    distance = np.abs(probabilities - thresholds)
    for group in groups:
        own = probabilities[:, list(group.columns)]
        for place, column in enumerate(group.columns):
            rival = np.delete(own, place, axis=1).max(axis=1)
            to_rival = np.abs(own[:, place] - rival) / 2.0
            if group.at_most_one:
                to_rival = np.minimum(to_rival, distance[:, column])
            distance[:, column] = to_rival
    return distance
