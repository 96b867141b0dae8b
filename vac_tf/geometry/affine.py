"""Any affine transform: rotation, scaling, shearing, shifting, reflection, by any amount."""

import dataclasses
import functools
import math

import keras
import numpy as np
from keras import ops

from vac_tf.geometry.tensors import Tensor
from vac_tf.geometry.transform import Transform


@keras.saving.register_keras_serializable(package="vac_tf")
@dataclasses.dataclass(frozen=True)
class Affine(Transform):
    """An affine transform about the centre, sampled bilinearly; uncovered pixels become 0 (black).

    A point (row, column), from the centre, goes to `R S (row, column) + shift`: S scales and
    shears, R rotates. With negative scales these are all invertible affine transforms. Heatmaps
    are moved by the same numbers, between their cells too: on coarse grids that blurs them.

    Args:
        degrees: rotation, counter-clockwise.
        scale_rows: 2 makes all twice as high; -1 reflects.
        scale_columns: 2 makes all twice as wide; -1 reflects.
        shear: columns that a point moves to the right per row that it is below the centre.
        rows: shift down, as a part of the height.
        columns: shift to the right, as a part of the width.

    Raises:
        ValueError: a number that is not finite, a scale of 0, or a transform that changes nothing.
    """

    degrees: float = 0.0
    scale_rows: float = 1.0
    scale_columns: float = 1.0
    shear: float = 0.0
    rows: float = 0.0
    columns: float = 0.0

    def __post_init__(self) -> None:
        numbers = dataclasses.astuple(self)
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"affine takes finite numbers, got {numbers}.")
        if not self.scale_rows or not self.scale_columns:
            raise ValueError(f"affine scales by other numbers than 0, got {numbers[1:3]}.")
        if numbers == (0.0, 1.0, 1.0, 0.0, 0.0, 0.0):
            raise ValueError("affine:0:1:1:0:0:0 changes nothing; leave it out or change it.")

    @property
    def spec(self) -> str:
        return ":".join(["affine", *map(_written, dataclasses.astuple(self))])

    def images(self, images: Tensor) -> Tensor:
        return self._moved(images)

    def heatmaps(self, heatmaps: Tensor, stride: int = 32) -> Tensor:
        del stride  # Shifts are parts of the side.
        return self._moved(heatmaps)

    def valid_mask(self, height: int, width: int, stride: int = 32) -> np.ndarray:
        del stride
        _, weights = _sources(self, height, width)
        mask = (weights.sum(axis=0) > 1 - 1e-4).astype("float32").reshape(height, width)
        if not mask.any():
            raise ValueError(
                f"{self.spec} covers no cell of a {height}x{width} heatmap; use one that leaves"
                " more of the image."
            )
        return mask

    def _moved(self, values: Tensor) -> Tensor:
        height, width, channels = values.shape[1:]
        indices, weights = _sources(self, height, width)
        flat = ops.reshape(values, (-1, height * width, channels))
        moved = sum(
            ops.take(flat, index, axis=1) * ops.cast(weight[:, None], values.dtype)
            for index, weight in zip(indices, weights, strict=True)
        )
        return ops.reshape(moved, (-1, height, width, channels))


def _written(number: float) -> str:
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


@functools.lru_cache(maxsize=16)
def _sources(affine: Affine, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each target pixel comes from: flat indices and weights `[4, height * width]`."""
    angle = math.radians(affine.degrees)
    rotation = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    matrix = np.array(rotation) @ [[affine.scale_rows, 0.0], [affine.shear, affine.scale_columns]]
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    shift = np.array([affine.rows * height, affine.columns * width])
    targets = np.indices((height, width)).reshape(2, -1).T
    points = (targets - centre - shift) @ np.linalg.inv(matrix).T + centre
    points = points.round(6)  # Of 90 degrees: exactly one pixel.
    first = np.floor(points).astype(int)
    indices, weights = [], []
    for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corner = first + step
        weight = (1.0 - np.abs(points - corner)).prod(axis=1)
        inside = ((corner >= 0) & (corner < (height, width))).all(axis=1)
        row, column = np.clip(corner, 0, (height - 1, width - 1)).T
        indices.append(row * width + column)
        weights.append(np.where(inside, weight, 0.0))
    return np.stack(indices).astype("int32"), np.stack(weights).astype("float32")
