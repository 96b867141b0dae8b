"""`Split`: what every dataset reader returns, and how readers report bad rows."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from vac_tf.datasets.split_checks import (
    check_groups,
    check_label_names,
    check_objects,
    checked_boxes,
    checked_labels,
    checked_soft_labels,
    checked_weights,
)


class DatasetError(ValueError):
    """A dataset on disk that cannot be used as it is; the message says where and why."""


class UnknownSplitError(DatasetError):
    """The data set has no split of that name."""


@dataclasses.dataclass(frozen=True)
class RejectedRow:
    """A row of a dataset that was left out.

    Attributes:
        file: path.
        line: line number of a text file, row number of a table, or the place inside a JSON file
            such as "annotations[17]"; None when the whole file is meant.
        reason: what is wrong with it, and what was expected.
        kind: rows of one kind have the same reason, but for the values in its words.
        is_allowed: whether a setting asks to leave such rows out, so that they are no fault.
    """

    file: str
    line: int | str | None
    reason: str
    kind: str = ""
    is_allowed: bool = False

    @property
    def place(self) -> str:
        """The file and where in it."""
        if self.line is None:
            return self.file
        return f"{self.file}, {f'line {self.line}' if isinstance(self.line, int) else self.line}"

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def report_bad_row(
    rejected: list[RejectedRow] | None,
    file: Any,
    line: int | str | None,
    reason: str,
    kind: str = "",
) -> None:
    """Raises DatasetError for a bad row, or appends it to `rejected` when that is a list."""
    row = RejectedRow(str(file), line, reason, kind)
    if rejected is None:
        raise DatasetError(str(row))
    rejected.append(row)


def nothing_usable(message: str, rejected: list[RejectedRow] | None) -> DatasetError:
    """The error of a split that keeps no example; names the first of the rows left out."""
    if not rejected:
        return DatasetError(message)
    return DatasetError(f"{message} {len(rejected)} rows were rejected, the first: {rejected[0]}")


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectAnnotation:
    """One annotated object of an image.

    Attributes:
        category: index into `Split.label_names`.
        box: x, y, width, height in pixels.
        segmentation: COCO polygons (a list of [x1, y1, x2, y2, ...]), a COCO run-length dict
            with `size` and `counts`, or None.
        is_crowd: whether the mask covers a group of objects.
        area: area of the mask in square pixels.
    """

    category: int
    box: tuple[float, float, float, float]
    segmentation: list | dict | None
    is_crowd: bool
    area: float


@dataclasses.dataclass(frozen=True, slots=True)
class Provenance:
    """Where the labels of an example come from.

    Attributes:
        tasks: ids of the tasks in which they were given.
        annotators: who gave them.
        time: when the last of them did, ISO 8601; may be empty.
    """

    tasks: tuple[str, ...]
    annotators: tuple[str, ...]
    time: str


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """One part (train, val, test, ...) of a multi-label dataset; arrays are read-only.

    Attributes:
        image_paths: N paths. Several examples may share an image (one per box).
        labels: float32 [N, L], each 0, 1 or NaN (unknown).
        label_names: L distinct names.
        boxes: float64 [N, 4] of x, y, width, height in pixels, each example being the crop of
            its box; or None when examples are whole images. A box may stick out of the image.
        objects: for each example the tuple of its annotated objects, for analysis; or None.
        groups: for each example its person, video or patient, say, which a held-out part never
            shares with training; or None.
        name: name of the split, such as "train".
        dataset: name of the dataset, such as "coco".
        soft_labels: float32 [N, L] in 0..1, NaN where `labels` is NaN: what training learns where
            labels are shares or probabilities. `labels` is then 1 from 0.5 on. None: `labels`.
        weights: float32 [N], what each example counts for in training; None: all count alike.
        provenance: for each example who labelled it; None where that is not known.

    Raises:
        ValueError: when shapes, dtypes or values are not as above, or there is no example.
    """

    image_paths: tuple[str, ...]
    labels: np.ndarray
    label_names: tuple[str, ...]
    boxes: np.ndarray | None = None
    objects: tuple[tuple[ObjectAnnotation, ...], ...] | None = None
    groups: tuple[str, ...] | None = None
    name: str = ""
    dataset: str = ""
    soft_labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    provenance: tuple[Provenance, ...] | None = None

    def __post_init__(self):
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(self, "image_paths", tuple(str(path) for path in self.image_paths))
        set_field(self, "label_names", tuple(self.label_names))
        check_label_names(self.label_names)
        if not self.image_paths:
            raise ValueError("A split needs at least one example, got none.")
        shape = (len(self.image_paths), len(self.label_names))
        set_field(self, "labels", checked_labels(self.labels, shape))
        if self.boxes is not None:
            set_field(self, "boxes", checked_boxes(self.boxes, len(self.image_paths)))
        if self.objects is not None:
            set_field(self, "objects", tuple(tuple(objects) for objects in self.objects))
            check_objects(self.objects, shape)
        if self.groups is not None:
            set_field(self, "groups", tuple(self.groups))
            check_groups(self.groups, len(self))
        if self.soft_labels is not None:
            set_field(self, "soft_labels", checked_soft_labels(self.soft_labels, self.labels))
        if self.weights is not None:
            set_field(self, "weights", checked_weights(self.weights, len(self)))
        if self.provenance is not None and len(self.provenance) != len(self):
            raise ValueError(
                f"Expected the provenance of {len(self)} examples, got {len(self.provenance)}."
            )

    def __len__(self) -> int:
        return len(self.image_paths)

    def select(self, indices: Sequence[int] | np.ndarray) -> "Split":
        """The examples at `indices` (integers, or a boolean mask [N]), in that order.

        Raises:
            ValueError: when an index is out of range, or none is given.
        """
        indices = np.asarray(indices)
        if indices.dtype == bool and indices.shape == (len(self),):
            indices = np.flatnonzero(indices)
        if indices.ndim != 1 or not len(indices) or not np.issubdtype(indices.dtype, np.integer):
            raise ValueError(
                "Expected a non-empty list of integer indices or a boolean mask of shape"
                f" {(len(self),)}, got dtype {indices.dtype} and shape {indices.shape}."
            )
        if indices.min() < 0 or indices.max() >= len(self):
            raise ValueError(
                f"Indices must lie in 0..{len(self) - 1}, got {indices.min()}..{indices.max()}."
            )
        objects, groups, provenance = self.objects, self.groups, self.provenance
        soft_labels, weights = self.soft_labels, self.weights
        return dataclasses.replace(
            self,
            image_paths=tuple(self.image_paths[i] for i in indices),
            labels=self.labels[indices],
            boxes=None if self.boxes is None else self.boxes[indices],
            objects=None if objects is None else tuple(objects[i] for i in indices),
            groups=None if groups is None else tuple(groups[i] for i in indices),
            soft_labels=None if soft_labels is None else soft_labels[indices],
            weights=None if weights is None else weights[indices],
            provenance=None if provenance is None else tuple(provenance[i] for i in indices),
        )

    def with_labels(self, label_names: Sequence[str]) -> "Split":
        """The same examples with the label columns in the order of `label_names`.

        Raises:
            ValueError: when the split has not exactly these labels; lists missing and extra.
        """
        label_names = tuple(label_names)
        check_label_names(label_names)
        if label_names == self.label_names:
            return self
        missing = [name for name in label_names if name not in self.label_names]
        extra = [name for name in self.label_names if name not in label_names]
        if missing or extra:
            raise ValueError(
                f"Split {self.name!r} of dataset {self.dataset!r} has other labels than expected."
                f" Missing here: {missing or 'none'}. Not expected here: {extra or 'none'}."
                " Give all splits the same labels; only their order may differ."
            )
        order = [self.label_names.index(name) for name in label_names]
        new_index = {old: new for new, old in enumerate(order)}
        objects = self.objects
        if objects is not None:
            objects = tuple(
                tuple(dataclasses.replace(o, category=new_index[o.category]) for o in image)
                for image in objects
            )
        soft_labels = self.soft_labels
        return dataclasses.replace(
            self,
            labels=self.labels[:, order],
            label_names=label_names,
            objects=objects,
            soft_labels=None if soft_labels is None else soft_labels[:, order],
        )

    @property
    def units(self) -> tuple[str, ...]:
        """What says one thing however often it is seen: for each example its group, or its image.

        Folds never divide a unit, and a bootstrap draws it whole: several images of one person, or
        several boxes in one image, are no independent evidence.
        """
        return self.image_paths if self.groups is None else self.groups

    @property
    def unit_numbers(self) -> np.ndarray | None:
        """`units` as numbers 0, 1, ..., int64 [N]; None where every example is one of its own."""
        names, numbers = np.unique(self.units, return_inverse=True)
        return None if len(names) == len(self) else numbers

    @property
    def units_in_words(self) -> str:
        """What a bootstrap resample of the split is drawn from."""
        if self.groups is not None:
            return f"{len(set(self.groups)):,} groups of images"
        return "images" if self.unit_numbers is None else "images, each with all its boxes"

    @property
    def training_labels(self) -> np.ndarray:
        """float32 [N, L] in 0..1 or NaN: the soft labels, where there are any."""
        return self.labels if self.soft_labels is None else self.soft_labels

    def positive_ratio(self, unknown_labels: str = "ignore") -> np.ndarray:
        """Share of positives per label, float64 [L]: p of Eq. 3 (Guo et al., CVPR 2019).

        Soft labels count as what they are.

        Args:
            unknown_labels: "negative" or "release" divide the positives by all examples,
                "ignore" by those whose label is known (0 for a label that is never known).
        """
        positives = np.nansum(self.training_labels, axis=0, dtype=np.float64)
        if unknown_labels in ("negative", "release"):
            return positives / len(self)
        if unknown_labels == "ignore":
            known = np.sum(~np.isnan(self.labels), axis=0, dtype=np.float64)
            return positives / np.maximum(known, 1)
        raise ValueError(
            f"Unknown policy {unknown_labels!r} for unknown labels."
            " Expected one of: ignore, negative, release."
        )
