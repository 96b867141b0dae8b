"""Mosaics of several images of a batch (SpliceMix, Wang et al., arXiv 2311.15200)."""

import dataclasses

import keras
from keras import ops

from vac_tf.geometry.tensors import Tensor
from vac_tf.geometry.transform import Transform


@keras.saving.register_keras_serializable(package="vac_tf")
@dataclasses.dataclass(frozen=True)
class Splice(Transform):
    """A grid of `cells` x `cells` shrunk images, in place of one: itself, then those after it.

    The view of image i of a batch holds the images i, i + 1, ..., row by row; after the last one
    comes the first. Its heatmaps should be the mosaic of theirs, shrunk alike, and its labels are
    all that they have. Batches are drawn anew each epoch, and so are the mosaics. With
    `Consistency(target="stop_gradient")` this is the consistency learning of the paper's
    SpliceMix-CL, cell by cell instead of region by region.

    Raises:
        ValueError: fewer than 2 cells a side.
    """

    cells: int = 2

    def __post_init__(self) -> None:
        if self.cells < 2:
            raise ValueError(f"splice takes a grid of at least 2 cells a side, got {self.cells}.")

    @property
    def spec(self) -> str:
        return f"splice:{self.cells}"

    @property
    def mixes_images(self) -> bool:
        return True

    def images(self, images: Tensor) -> Tensor:
        return self._mosaic(ops.cast(images, "float32"))

    def heatmaps(self, heatmaps: Tensor, stride: int = 32) -> Tensor:
        del stride
        return self._mosaic(heatmaps)

    def labels(self, labels: Tensor) -> Tensor:
        """Of each mosaic, `[B, L]`: 1 where an image has it, else NaN where one may have it."""
        parts = ops.stack(self._neighbours(labels))
        is_unknown = ops.any(ops.isnan(parts), axis=0)
        present = ops.max(ops.where(ops.isnan(parts), ops.zeros_like(parts), parts), axis=0)
        unknown = ops.full_like(present, float("nan"))
        return ops.where(ops.logical_and(is_unknown, present < 1), unknown, present)

    def example_weights(self, weights: Tensor) -> Tensor:
        """Of each mosaic, `[B]`: the mean of its images'."""
        return ops.mean(ops.stack(self._neighbours(weights)), axis=0)

    def _neighbours(self, values: Tensor) -> list[Tensor]:
        return [ops.roll(values, -number, axis=0) for number in range(self.cells**2)]

    def _mosaic(self, values: Tensor) -> Tensor:
        """`[B, h, w, C]` side by side, shrunk by averaging: where h is odd, also across a seam."""
        parts = self._neighbours(values)
        rows = [parts[first : first + self.cells] for first in range(0, len(parts), self.cells)]
        mosaic = ops.concatenate([ops.concatenate(row, axis=2) for row in rows], axis=1)
        return ops.average_pool(mosaic, self.cells, data_format="channels_last")
