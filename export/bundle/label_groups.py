"""Labels that exclude each other, as a bundle carries them, and what is decided of them.

`decide` and `distance_to_other_decision` are those of `vac_tf.metrics.label_groups.decisions`, word
for word (a test holds them together): neither wing may import the other.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class LabelGroup:
    """Labels of which one is decided, the most probable.

    Attributes:
        name: of the group, such as "age".
        columns: of its labels, at least two, in the order of the outputs.
        at_most_one: None is decided where the most probable is not above its threshold. The
            probabilities are a softmax with one answer more, whose logit is 0.
    """

    name: str
    columns: tuple[int, ...]
    at_most_one: bool = False


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


def groups_to_json(
    groups: Sequence[LabelGroup], label_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Groups as plain values, which name their labels."""
    return [
        {
            "name": group.name,
            "labels": [label_names[column] for column in group.columns],
            "at_most_one": group.at_most_one,
        }
        for group in groups
    ]


def groups_from_json(values: Sequence[Any], label_names: Sequence[str]) -> tuple[LabelGroup, ...]:
    """Reads `groups_to_json` back.

    Raises:
        ValueError: values of another kind, fewer than two labels, one that there is not, or one in
            two groups.
    """
    place = {name: column for column, name in enumerate(label_names)}
    groups: list[LabelGroup] = []
    free = set(label_names)
    for value in values:
        labels = value.get("labels") if isinstance(value, Mapping) else None
        labels = labels if isinstance(labels, list) else []
        own = {label for label in labels if isinstance(label, str)}
        at_most_one = value.get("at_most_one", False) if isinstance(value, Mapping) else None
        is_usable = len(labels) >= 2 and len(own) == len(labels) and own <= free
        if not is_usable or not isinstance(at_most_one, bool):
            raise ValueError(
                f"label_groups holds {str(value)[:60]!r}, expected a name, two or more of the"
                " labels that are in no other group, and at_most_one."
            )
        free -= own
        columns = tuple(place[label] for label in labels)
        groups.append(LabelGroup(str(value.get("name")), columns, at_most_one))
    return tuple(groups)
