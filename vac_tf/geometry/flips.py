"""Mirror images, from left to right and upside down."""

import dataclasses

import keras
from keras import ops

from vac_tf.geometry.tensors import Tensor
from vac_tf.geometry.transform import Transform, check_grid


@keras.saving.register_keras_serializable(package="vac_tf")
@dataclasses.dataclass(frozen=True)
class HorizontalFlip(Transform):
    """Mirror image: plain reversal of the columns."""

    spec = "hflip"

    def images(self, images: Tensor) -> Tensor:
        return ops.flip(images, axis=2)

    def heatmaps(self, heatmaps: Tensor, stride: int = 32) -> Tensor:
        del stride
        return ops.flip(heatmaps, axis=2)

    def restored_heatmaps(self, heatmaps: Tensor, height: int, width: int) -> Tensor:
        return self.heatmaps(check_grid(self.spec, heatmaps, height, width))


@keras.saving.register_keras_serializable(package="vac_tf")
@dataclasses.dataclass(frozen=True)
class VerticalFlip(Transform):
    """Upside down: plain reversal of the rows."""

    spec = "vflip"

    def images(self, images: Tensor) -> Tensor:
        return ops.flip(images, axis=1)

    def heatmaps(self, heatmaps: Tensor, stride: int = 32) -> Tensor:
        del stride
        return ops.flip(heatmaps, axis=1)

    def restored_heatmaps(self, heatmaps: Tensor, height: int, width: int) -> Tensor:
        return self.heatmaps(check_grid(self.spec, heatmaps, height, width))
