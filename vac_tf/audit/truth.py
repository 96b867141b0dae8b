"""What is on the images, as far as it is known: labels, and objects with their masks."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vac_tf.datasets.split import Split


@dataclasses.dataclass(frozen=True)
class Truth:
    """The labels of all images asked for, in the order of a model's labels.

    Attributes:
        labels: float32 `[N, L]` of 0, 1 and NaN (unknown, or no label of the split).
        split: the same images, with the objects of the labels where there are any.
        missing: labels of the model that the split does not have.
    """

    labels: np.ndarray
    split: Split
    missing: tuple[str, ...]

    def select(self, places: Sequence[int]) -> "Truth":
        """Of the images at these places only."""
        return dataclasses.replace(
            self, labels=self.labels[places], split=self.split.select(places)
        )

    def wanted_heatmaps(self) -> dict[int, list[int]]:
        """Place of an image -> its labels that have objects."""
        if self.split.objects is None:
            return {}
        return {
            place: sorted({annotation.category for annotation in objects})
            for place, objects in enumerate(self.split.objects)
            if objects
        }


def align_truth(split: Split, label_names: Sequence[str]) -> Truth:
    """The truth of a split for the labels of a model, found by name.

    Raises:
        ValueError: no label in common.
    """
    columns = {name: column for column, name in enumerate(split.label_names)}
    found = [name for name in label_names if name in columns]
    if not found:
        raise ValueError(
            f"No label of the model ({', '.join(label_names[:5])}, ...) is one of split"
            f" {split.name!r} ({', '.join(split.label_names[:5])}, ...). Check --dataset, or name"
            " the model's labels with --label_file."
        )
    labels = np.full((len(split), len(label_names)), np.nan, np.float32)
    places = {}
    for label, name in enumerate(label_names):
        if name in columns:
            labels[:, label] = split.labels[:, columns[name]]
            places[columns[name]] = label
    objects = split.objects
    if objects is not None:
        objects = [
            tuple(
                dataclasses.replace(annotation, category=places[annotation.category])
                for annotation in image
                if annotation.category in places
            )
            for image in objects
        ]
    aligned = dataclasses.replace(
        split, labels=labels, label_names=tuple(label_names), objects=objects
    )
    missing = tuple(name for name in label_names if name not in columns)
    return Truth(labels, aligned, missing)
