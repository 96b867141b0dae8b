"""`SaliencySplit`: photographs and where people looked on them. Needs no TensorFlow."""

import dataclasses
from collections.abc import Hashable, Sequence
from typing import ClassVar

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class SaliencySplit:
    """One part (train, val, ...) of a data set of fixations.

    Attributes:
        image_paths: N paths.
        image_ids: N distinct identifiers, as text (result files name images so).
        sizes: int64 [N, 2], height and width in pixels of the screen that fixations refer to.
        workers: for each image the identifiers of those who looked at it.
        fixations: for each image and each of its workers an int64 [F, 2] of row and column in
            pixels, 0-based, inside the size, in the order of looking.
        map_paths: for each image the published map of its fixations (grey PNG of its size), or
            None when maps are made from the fixations.
        name: name of the split, such as "train".
        dataset: name of the data set, such as "salicon".

    Raises:
        ValueError: when lengths differ, a fixation lies outside its image, or nobody looked at an
            image.
    """

    image_paths: tuple[str, ...]
    image_ids: tuple[str, ...]
    sizes: np.ndarray
    workers: tuple[tuple[Hashable, ...], ...]
    fixations: tuple[tuple[np.ndarray, ...], ...]
    map_paths: tuple[str, ...] | None = None
    name: str = ""
    dataset: str = ""
    # Examples are whole images, as `ImageSource` asks.
    boxes: ClassVar[None] = None

    def __post_init__(self):
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(self, "image_paths", tuple(str(path) for path in self.image_paths))
        count = len(self.image_paths)
        if not count:
            raise ValueError("A split needs at least one image, got none.")
        sizes = np.array(self.sizes, np.int64)
        if sizes.shape != (count, 2) or sizes.min() < 1:
            raise ValueError(
                f"sizes must be positive and of shape {(count, 2)} (height, width), got the shape"
                f" {sizes.shape}."
            )
        sizes.setflags(write=False)
        set_field(self, "sizes", sizes)
        for field in ("image_ids", "workers", "fixations", "map_paths"):
            values = getattr(self, field)
            if values is not None and len(values) != count:
                raise ValueError(f"Expected {field} of {count} images, got {len(values)}.")
        if len(set(self.image_ids)) != count:
            raise ValueError("image_ids must be distinct.")
        for index in range(count):
            _check_image(self, index)

    def __len__(self) -> int:
        return len(self.image_paths)

    def points(self, index: int) -> np.ndarray:
        """All fixations on an image, of all workers: int64 [F, 2] of row and column, 0-based."""
        return np.concatenate(self.fixations[index])

    def counts(self, index: int) -> np.ndarray:
        """Number of fixations on each pixel of an image, int64 [H, W]."""
        return count_points(self.points(index), tuple(self.sizes[index]))

    def select(self, indices: Sequence[int] | np.ndarray) -> "SaliencySplit":
        """The images at `indices` (integers, or a boolean mask [N]), in that order.

        Raises:
            ValueError: when no image is selected.
            IndexError: when an index is out of range.
        """
        indices = np.asarray(indices)
        chosen = np.arange(len(self))[indices if indices.size else []]
        maps = self.map_paths
        return dataclasses.replace(
            self,
            image_paths=tuple(self.image_paths[i] for i in chosen),
            image_ids=tuple(self.image_ids[i] for i in chosen),
            sizes=self.sizes[chosen],
            workers=tuple(self.workers[i] for i in chosen),
            fixations=tuple(self.fixations[i] for i in chosen),
            map_paths=None if maps is None else tuple(maps[i] for i in chosen),
        )


def count_points(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Number of points on each pixel, int64 [H, W]; `points` are [F, 2] rows and columns."""
    counts = np.zeros(size, np.int64)
    np.add.at(counts, (points[:, 0], points[:, 1]), 1)
    return counts


def _check_image(split: SaliencySplit, index: int) -> None:
    path, fixations = split.image_paths[index], split.fixations[index]
    if len(split.workers[index]) != len(fixations):
        raise ValueError(
            f"{path}: {len(split.workers[index])} workers, but fixations of {len(fixations)}."
        )
    if len(set(split.workers[index])) != len(fixations):
        raise ValueError(f"{path}: a worker occurs twice: {split.workers[index]}.")
    points = np.concatenate([np.zeros((0, 2), np.int64), *fixations])
    if not len(points):
        raise ValueError(f"{path}: there are no fixations on this image.")
    outside = (points < 0) | (points >= split.sizes[index])
    if outside.any():
        first = points[outside.any(axis=1)][0].tolist()
        raise ValueError(
            f"{path}: fixation {first} (row, column; 0-based) lies outside the image of"
            f" {split.sizes[index].tolist()} pixels (height, width)."
        )
