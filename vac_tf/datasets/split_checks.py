"""Checks of what a `Split` is made of."""

import collections

import numpy as np


def check_label_names(label_names: tuple[str, ...]) -> None:
    """Raises ValueError unless there are labels, of different names."""
    if not label_names:
        raise ValueError("A split needs at least one label, got none.")
    bad = [name for name in label_names if not isinstance(name, str) or not name.strip()]
    if bad:
        raise ValueError(f"Label names must be non-empty strings, got {bad[0]!r}.")
    counts = collections.Counter(label_names)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise ValueError(f"Label names must be distinct, got more than once: {repeated}.")


def checked_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Labels of 0, 1 or NaN as a read-only copy; ValueError for others."""
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


def checked_boxes(boxes: np.ndarray, count: int) -> np.ndarray:
    """Boxes as a read-only copy; ValueError for those without an area."""
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


def check_objects(objects: tuple, shape: tuple[int, int]) -> None:
    """Raises ValueError for objects of other images or labels than there are."""
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


def check_groups(groups: tuple, count: int) -> None:
    """Raises ValueError unless each example has the name of a group."""
    if len(groups) != count:
        raise ValueError(f"Expected the groups of {count} examples, got {len(groups)}.")
    bad = [row for row, group in enumerate(groups) if not isinstance(group, str) or not group]
    if bad:
        raise ValueError(
            f"Groups must be non-empty strings, got {groups[bad[0]]!r} in row {bad[0]}."
        )


SOFT_LABELS_ARE = "positive from 0.5 on"


def binarized(soft_labels: np.ndarray) -> np.ndarray:
    """Labels float32 of 0, 1 or NaN: a soft label is a positive from 0.5 on."""
    hard = (soft_labels >= 0.5).astype(np.float32)
    return np.where(np.isnan(soft_labels), np.float32(np.nan), hard)


def checked_soft_labels(soft_labels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Soft labels as a read-only copy; ValueError unless they are in 0..1 and fit the labels."""
    soft_labels = np.array(soft_labels)
    if soft_labels.dtype != np.float32 or soft_labels.shape != labels.shape:
        raise ValueError(
            f"Soft labels must be float32 of shape {labels.shape}, got {soft_labels.dtype} of shape"
            f" {soft_labels.shape}."
        )
    known = soft_labels[~np.isnan(soft_labels)]
    if len(known) and not (known.min() >= 0 and known.max() <= 1):
        raise ValueError(
            f"Soft labels must lie in 0..1 (NaN: unknown), got {known.min()} to {known.max()}."
        )
    if not np.array_equal(binarized(soft_labels), labels, equal_nan=True):
        raise ValueError("Labels must be the soft labels, positive from 0.5 on.")
    soft_labels.setflags(write=False)
    return soft_labels


def checked_weights(weights: np.ndarray, count: int) -> np.ndarray:
    """Weights as a read-only copy; ValueError for what is none."""
    weights = np.array(weights)
    if weights.dtype != np.float32 or weights.shape != (count,):
        raise ValueError(
            f"Weights must be float32 of shape {(count,)}, got {weights.dtype} of shape"
            f" {weights.shape}."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("Weights must be finite and not negative.")
    weights.setflags(write=False)
    return weights
