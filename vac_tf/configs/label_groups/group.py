"""`LabelGroup`: labels of which exactly one, or at most one, holds. Needs no TensorFlow."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# What an image says of a group, where it is none of the group's labels.
UNKNOWN, NONE, SEVERAL = -1, -2, -3
# How far the soft labels of a group may be from 1 in sum, as rounded percentages are.
SLACK = 0.02


@dataclasses.dataclass(frozen=True)
class LabelGroup:
    """Labels that exclude each other.

    Attributes:
        name: of the group, such as "age".
        columns: of its labels, at least two, in the order of the network's outputs.
        at_most_one: an image may have none of them; else exactly one holds.
    """

    name: str
    columns: tuple[int, ...]
    at_most_one: bool = False

    def answers(self, labels: np.ndarray) -> np.ndarray:
        """Which label of the group each image has.

        A soft label is a positive from 0.5 on. One positive settles the group, whatever of the
        others is unknown.

        Args:
            labels: `[N, L]` in 0..1, NaN where unknown.

        Returns:
            int `[N]`: the place in `columns`; UNKNOWN, without a positive where a label is not
            known, or where soft labels sum to 1; NONE, where all are known to be absent (fine with
            `at_most_one`, else a contradiction); SEVERAL, more than one positive, which is always a
            contradiction.
        """
        own = labels[:, list(self.columns)]
        positive = own >= 0.5
        count = positive.sum(axis=1)
        # Soft labels that sum to 1 without a half are no contradiction, but no answer either.
        is_open = np.isnan(own).any(axis=1) | (own.sum(axis=1) > 1.0 - SLACK)
        answers = np.where(is_open, UNKNOWN, NONE)
        answers = np.where(count == 1, positive.argmax(axis=1), answers)
        return np.where(count > 1, SEVERAL, answers)

    def contradictory(self, labels: np.ndarray) -> np.ndarray:
        """bool `[N]`: images `[N, L]` with several of the labels, or none where one must be."""
        answers = self.answers(labels)
        return (answers == SEVERAL) | ((answers == NONE) & (not self.at_most_one))

    @property
    def rule(self) -> str:
        """What holds, in words."""
        return "at most one" if self.at_most_one else "exactly one"


def groups_of_names(
    named: Sequence[tuple[str, Sequence[str], bool]], label_names: Sequence[str]
) -> tuple[LabelGroup, ...]:
    """Groups of labels by their names.

    Args:
        named: name of the group, its labels, and whether it is one of at most one label.
        label_names: L names, in the order of the network's outputs.

    Raises:
        ValueError: a group with fewer than two labels, a label that there is not or that is in two
            groups, or two groups of one name.
    """
    place = {name: column for column, name in enumerate(label_names)}
    owner: dict[str, str] = {}
    groups: dict[str, LabelGroup] = {}
    for name, labels, at_most_one in named:
        if name in groups:
            raise ValueError(f"Label group {name!r} is there twice. Give each a name of its own.")
        if len(set(labels)) < 2:
            raise ValueError(
                f"Label group {name!r} has {len(set(labels))} label: {list(labels)}. Expected at"
                " least two that exclude each other; a label on its own needs no group."
            )
        for label in labels:
            if label not in place:
                raise ValueError(
                    f"Label group {name!r} names {label!r}, which is no label. Labels:"
                    f" {', '.join(label_names)}."
                )
            if label in owner:
                raise ValueError(
                    f"Label {label!r} is in the label group {owner[label]!r} and again in"
                    f" {name!r}. A label can be in one group, once."
                )
            owner[label] = name
        groups[name] = LabelGroup(
            name, tuple(sorted(place[label] for label in labels)), at_most_one
        )
    return tuple(groups.values())


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


def groups_from_json(values: Any, label_names: Sequence[str]) -> tuple[LabelGroup, ...]:
    """Reads `groups_to_json` back; ValueError for values that are none."""
    if not isinstance(values, list) or not all(_is_group(value) for value in values):
        raise ValueError(
            f"label_groups must be a list of name, labels and at_most_one, got {str(values)[:60]}."
        )
    named = [(value["name"], value["labels"], value["at_most_one"]) for value in values]
    return groups_of_names(named, label_names)


def _is_group(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("at_most_one"), bool)
        and isinstance(value.get("labels"), list)
        and all(isinstance(label, str) for label in value["labels"])
    )
