"""What all spatial transforms share."""

import dataclasses
from typing import Any

import numpy as np

from vac_tf.geometry.tensors import Tensor


@dataclasses.dataclass(frozen=True)
class Transform:
    """What all transforms share.

    Each also has `images(images)`, the transformed `[B, H, W, C]`, and
    `heatmaps(heatmaps, stride)`, where the cells of `[B, h, w, L]`, `stride` pixels wide, go.
    """

    @property
    def spec(self) -> str:
        """The text that `parse_transforms` reads."""
        raise TypeError(f"{type(self).__name__} must define spec.")

    @property
    def kind(self) -> str:
        """The part of `spec` before the first colon."""
        return self.spec.split(":")[0]

    @property
    def term(self) -> str:
        """Name of this transform's loss term, such as `consistency_scale_192`."""
        return "consistency_" + self.spec.replace(":", "_")

    def valid_mask(self, height: int, width: int, stride: int = 32) -> np.ndarray:
        """float32 `[height, width]`: 1 for the heatmap cells that the transform leaves covered."""
        del stride
        return np.ones((height, width), "float32")

    def restored_heatmaps(self, heatmaps: Tensor, height: int, width: int) -> Tensor:
        """Heatmaps of transformed images, brought back to where the images have what they show.

        The inverse of `heatmaps`, and of the change of the grid that another size makes.

        Args:
            heatmaps: `[B, h, w, L]`, that a network gave for `images(images)`.
            height: Cells of the images' own heatmaps along the rows.
            width: The same along the columns.

        Returns:
            `[B, height, width, L]`.

        Raises:
            ValueError: the transform has no inverse on heatmaps.
        """
        raise ValueError(
            f"Heatmaps of {self.spec} cannot be brought back to those of the image: what it moves"
            " out of the picture, or between cells, is lost. Expected hflip, vflip, rotate or"
            " scale."
        )

    @property
    def mixes_images(self) -> bool:
        """Whether a view is made of several images of the batch, so that its labels are others."""
        return False

    def labels(self, labels: Tensor) -> Tensor:
        """The labels of the transformed images, from those of the images: `[B, L]`."""
        return labels

    def example_weights(self, weights: Tensor) -> Tensor:
        """What each transformed image counts for, from what the images do: `[B]`."""
        return weights

    def get_config(self) -> dict[str, Any]:
        """The fields, for Keras to save a trainer by; what Keras must know of are the classes."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Transform":
        """The transform whose fields `get_config` gave."""
        return cls(**config)


def check_grid(spec: str, heatmaps: Tensor, height: int, width: int) -> Tensor:
    """The heatmaps `[B, h, w, L]`, unless their grid is another than that of the images.

    Raises:
        ValueError: another grid; `spec` names the transform.
    """
    if tuple(heatmaps.shape[1:3]) != (height, width):
        cells = "x".join(map(str, heatmaps.shape[1:3]))
        raise ValueError(
            f"Heatmaps of {spec} have {cells} cells, expected {height}x{width} as those of the"
            " image."
        )
    return heatmaps
