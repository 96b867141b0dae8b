"""What the labels of a split say of groups of labels that exclude each other."""

from collections.abc import Sequence

import numpy as np

from vac_tf.configs.label_groups.group import NONE, SEVERAL, UNKNOWN, LabelGroup
from vac_tf.datasets.split import DatasetError, Split

_SHOWN = 3


def describe_groups(split: Split, groups: Sequence[LabelGroup]) -> list[str]:
    """Counts of each group, and images that contradict it: a line each."""
    lines = []
    for group in groups:
        labels = split.training_labels
        answers, contradictory = group.answers(labels), group.contradictory(labels)
        counts = {
            "unknown": np.sum(answers == UNKNOWN),
            "without any" if group.at_most_one else "without any (contradictory)": np.sum(
                answers == NONE
            ),
            "with several (contradictory)": np.sum(answers == SEVERAL),
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        lines.append(
            f"label group {group.name} ({group.rule} of {len(group.columns)}):"
            f" {np.sum(answers >= 0)} of {len(split)} examples with one{told and ', '}{told}"
        )
        rows = np.flatnonzero(contradictory)
        lines += [f"  contradictory: {_example(split, row, group)}" for row in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            lines.append(f"  ... and {len(rows) - _SHOWN} more")
    return lines


def contradictions(split: Split, groups: Sequence[LabelGroup]) -> list[str]:
    """A sentence for each group that examples of the split contradict."""
    sentences = []
    for group in groups:
        rows = np.flatnonzero(group.contradictory(split.training_labels))
        if len(rows):
            sentences.append(
                f"{len(rows)} of {len(split)} examples of {split.name} contradict the label group"
                f" {group.name!r} ({group.rule}), which is not learnt from them, such as"
                f" {_example(split, rows[0], group)}."
            )
    return sentences


def check_groups(split: Split, groups: Sequence[LabelGroup]) -> None:
    """Raises DatasetError for a group of which no example of a training split has one label."""
    for group in groups:
        if not np.any(group.answers(split.training_labels) >= 0):
            raise DatasetError(
                f"No example of {split.name} has one label of the label group {group.name!r} and"
                f" no other ({group.rule} of {', '.join(_labels(split, group.columns))}): it could"
                " not be learnt. Do these labels exclude each other?"
            )


def _example(split: Split, row: int, group: LabelGroup) -> str:
    present = [column for column in group.columns if split.labels[row, column] >= 0.5]
    told = " and ".join(_labels(split, present)) or "none"
    return f"{split.image_paths[row]} has {told}"


def _labels(split: Split, columns) -> list[str]:
    return [split.label_names[column] for column in columns]
