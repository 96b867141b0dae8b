"""`Split`: what every dataset reader returns, and how readers report bad rows."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


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

    def __post_init__(self):
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(self, "image_paths", tuple(str(path) for path in self.image_paths))
        set_field(self, "label_names", tuple(self.label_names))
        _check_label_names(self.label_names)
        if not self.image_paths:
            raise ValueError("A split needs at least one example, got none.")
        shape = (len(self.image_paths), len(self.label_names))
        set_field(self, "labels", _checked_labels(self.labels, shape))
        if self.boxes is not None:
            set_field(self, "boxes", _checked_boxes(self.boxes, len(self.image_paths)))
        if self.objects is not None:
            set_field(self, "objects", tuple(tuple(objects) for objects in self.objects))
            _check_objects(self.objects, shape)
        if self.groups is not None:
            set_field(self, "groups", tuple(self.groups))
            _check_groups(self.groups, len(self))

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
        objects, groups = self.objects, self.groups
        return dataclasses.replace(
            self,
            image_paths=tuple(self.image_paths[i] for i in indices),
            labels=self.labels[indices],
            boxes=None if self.boxes is None else self.boxes[indices],
            objects=None if objects is None else tuple(objects[i] for i in indices),
            groups=None if groups is None else tuple(groups[i] for i in indices),
        )

    def with_labels(self, label_names: Sequence[str]) -> "Split":
        """The same examples with the label columns in the order of `label_names`.

        Raises:
            ValueError: when the split has not exactly these labels; lists missing and extra.
        """
        label_names = tuple(label_names)
        _check_label_names(label_names)
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
        return dataclasses.replace(
            self, labels=self.labels[:, order], label_names=label_names, objects=objects
        )

    def positive_ratio(self, unknown_labels: str = "ignore") -> np.ndarray:
        """Share of positives per label, float64 [L]: p of Eq. 3 (Guo et al., CVPR 2019).

        Args:
            unknown_labels: "negative" or "release" divide the positives by all examples,
                "ignore" by those whose label is known (0 for a label that is never known).
        """
        positives = np.sum(self.labels == 1, axis=0, dtype=np.float64)
        if unknown_labels in ("negative", "release"):
            return positives / len(self)
        if unknown_labels == "ignore":
            known = np.sum(~np.isnan(self.labels), axis=0, dtype=np.float64)
            return positives / np.maximum(known, 1)
        raise ValueError(
            f"Unknown policy {unknown_labels!r} for unknown labels."
            " Expected one of: ignore, negative, release."
        )


def _check_label_names(label_names: tuple[str, ...]) -> None:
    if not label_names:
        raise ValueError("A split needs at least one label, got none.")
    bad = [name for name in label_names if not isinstance(name, str) or not name.strip()]
    if bad:
        raise ValueError(f"Label names must be non-empty strings, got {bad[0]!r}.")
    repeated = sorted({name for name in label_names if label_names.count(name) > 1})
    if repeated:
        raise ValueError(f"Label names must be distinct, got more than once: {repeated}.")


def _checked_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    labels = np.array(labels)
    if labels.dtype != np.float32 or labels.shape != shape:
        raise ValueError(
            f"Labels must be float32 of shape {shape} (examples, labels),"
            f" got {labels.dtype} of shape {labels.shape}."
        )
    bad = np.argwhere(~((labels == 0) | (labels == 1) | np.isnan(labels)))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"Labels must be 0, 1 or NaN (unknown), got {labels[row, column]}"
            f" in row {row}, column {column} ({len(bad)} such values)."
        )
    labels.setflags(write=False)
    return labels


def _checked_boxes(boxes: np.ndarray, count: int) -> np.ndarray:
    boxes = np.array(boxes)
    if boxes.dtype != np.float64 or boxes.shape != (count, 4):
        raise ValueError(
            f"Boxes must be float64 of shape {(count, 4)} (x, y, width, height in pixels),"
            f" got {boxes.dtype} of shape {boxes.shape}."
        )
    good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            "Boxes must be finite with positive width and height,"
            f" got {boxes[row].tolist()} in row {row}."
        )
    boxes.setflags(write=False)
    return boxes


def _check_objects(objects: tuple, shape: tuple[int, int]) -> None:
    count, num_labels = shape
    if len(objects) != count:
        raise ValueError(f"Expected the objects of {count} examples, got {len(objects)}.")
    for row, image in enumerate(objects):
        for annotation in image:
            if not 0 <= annotation.category < num_labels:
                raise ValueError(
                    f"Object categories must lie in 0..{num_labels - 1},"
                    f" got {annotation.category} in row {row}."
                )


def _check_groups(groups: tuple, count: int) -> None:
    if len(groups) != count:
        raise ValueError(f"Expected the groups of {count} examples, got {len(groups)}.")
    bad = [row for row, group in enumerate(groups) if not isinstance(group, str) or not group]
    if bad:
        raise ValueError(
            f"Groups must be non-empty strings, got {groups[bad[0]]!r} in row {bad[0]}."
        )
