"""Views of a network's input, and the way back of their heatmaps. NumPy only.

The transforms of the VAC paper's Table 2 (Guo et al., CVPR 2019, Section 3.3) for whatever runs a
network without TensorFlow; `vac_tf.geometry.transforms` has them for training, and a test holds the
two to each other. There the heatmaps of an image are moved to where its view has them; here those
of the view are moved back, so that they can be looked at over the image. For the difference it is
the same.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vac_tf.configs.viewed_model import VIEWS
from vac_tf.geometry.resampling import nearest_places, resize_matrix


@dataclasses.dataclass(frozen=True)
class Frame:
    """What a network takes and gives.

    Attributes:
        height, width: of its input in pixels.
        stride: pixels of the input per cell of its heatmaps; None where they are no whole number.
        takes_other_sizes: whether its input may have another size.
        resize_kernel: `bilinear` or `nearest`.
    """

    height: int
    width: int
    stride: int | None
    takes_other_sizes: bool = False
    resize_kernel: str = "bilinear"


@dataclasses.dataclass(frozen=True)
class View:
    """What all views share: `kind`, its `spec` as `vac_tf.transforms` has it, `title` in words."""

    kind = ""

    @property
    def title(self) -> str:
        raise NotImplementedError

    @property
    def spec(self) -> str:
        return self.kind

    def images(self, images: np.ndarray) -> np.ndarray:
        """The views of float32 images `[B, H, W, 3]`."""
        raise NotImplementedError

    def back(self, heatmaps: np.ndarray) -> np.ndarray:
        """Heatmaps `[B, h, w, L]` of views, moved to where the image has what they show."""
        raise NotImplementedError

    def seen(self, height: int, width: int) -> np.ndarray:
        """bool `[height, width]`: the cells of the image's heatmap that the view shows."""
        return np.ones((height, width), bool)


class Mirrored(View):
    """Mirror image: plain reversal of the columns."""

    kind, title = "hflip", "mirrored"

    def images(self, images: np.ndarray) -> np.ndarray:
        return images[:, :, ::-1]

    def back(self, heatmaps: np.ndarray) -> np.ndarray:
        return heatmaps[:, :, ::-1]


class Turned(View):
    """A quarter turn counter-clockwise."""

    kind, title = "rotate", "turned by 90°"

    @property
    def spec(self) -> str:
        return "rotate:1"

    def images(self, images: np.ndarray) -> np.ndarray:
        return np.rot90(images, 1, (1, 2))

    def back(self, heatmaps: np.ndarray) -> np.ndarray:
        return np.rot90(heatmaps, -1, (1, 2))


@dataclasses.dataclass(frozen=True)
class Lowered(View):
    """Shifted down by one cell, `stride` pixels; what is uncovered is black."""

    stride: int
    kind, title = "translate", "shifted by a cell"

    @property
    def spec(self) -> str:
        return f"translate:{self.stride}:0"

    def images(self, images: np.ndarray) -> np.ndarray:
        views = np.zeros_like(images)
        views[:, self.stride :] = images[:, : -self.stride]
        return views

    def back(self, heatmaps: np.ndarray) -> np.ndarray:
        # The last row is none that the view shows: `seen` leaves it out.
        return np.concatenate([heatmaps[:, 1:], heatmaps[:, -1:]], axis=1)

    def seen(self, height: int, width: int) -> np.ndarray:
        return np.repeat(np.arange(height)[:, None] < height - 1, width, axis=1)


@dataclasses.dataclass(frozen=True)
class Scaled(View):
    """Smaller: by 6/7, in whole cells.

    A network that takes other sizes gets the smaller image as its input, as in the paper. Any other
    one gets it in the upper left corner of a black input, and the cells that lie over it count:
    the grid is the same, but the network also sees black beside the image.

    Attributes:
        rows, columns: of the smaller image in pixels, multiples of the stride.
        stride: pixels per cell.
        on_black: whether the input keeps its size.
        kernel: `bilinear` or `nearest`.
    """

    rows: int
    columns: int
    stride: int
    on_black: bool
    kernel: str = "bilinear"
    kind = "scale"

    @property
    def title(self) -> str:
        return f"at {self.columns} px" + (", on black" if self.on_black else "")

    @property
    def spec(self) -> str:
        return f"scale:{self.rows}"

    def images(self, images: np.ndarray) -> np.ndarray:
        small = _resize(images, self.rows, self.columns, self.kernel)
        if not self.on_black:
            return small
        views = np.zeros_like(images)
        views[:, : self.rows, : self.columns] = small
        return views

    def back(self, heatmaps: np.ndarray) -> np.ndarray:
        if not self.on_black:
            return heatmaps
        return heatmaps[:, : self.rows // self.stride, : self.columns // self.stride]


def views_of(kinds: Sequence[str], frame: Frame) -> tuple[list[View], dict[str, str]]:
    """The views that a network can be shown.

    Args:
        kinds: Of `VIEWS`.
        frame: Of the network.

    Returns:
        The views in the order of `kinds`, and kind -> why it is left out.

    Raises:
        ValueError: for an unknown kind.
    """
    if unknown := [kind for kind in kinds if kind not in VIEWS]:
        raise ValueError(f"Unknown view {unknown[0]!r}. Expected some of: {', '.join(VIEWS)}.")
    found = {kind: _BUILDERS[kind](frame) for kind in kinds}
    views = [view for view in found.values() if isinstance(view, View)]
    return views, {kind: why for kind, why in found.items() if isinstance(why, str)}


def _turned(frame: Frame) -> View | str:
    if frame.height != frame.width:
        return f"a quarter turn needs a square input, this is {frame.height}x{frame.width}"
    return Turned()


def _lowered(frame: Frame) -> View | str:
    if frame.stride is None:
        return "the cells of the heatmaps are no whole number of pixels"
    if frame.height <= frame.stride:
        return f"an input of {frame.height} pixels is a single cell"
    return Lowered(frame.stride)


def _scaled(frame: Frame) -> View | str:
    if frame.stride is None:
        return "the cells of the heatmaps are no whole number of pixels"
    rows, columns = (_scaled_side(side, frame.stride) for side in (frame.height, frame.width))
    if not min(rows, columns):
        return f"a smaller input than {frame.height}x{frame.width} pixels has no cell"
    return Scaled(rows, columns, frame.stride, not frame.takes_other_sizes, frame.resize_kernel)


def _scaled_side(side: int, stride: int) -> int:
    """The multiple of the stride nearest to 6/7 of a side but below it: 192 for 224 pixels."""
    scaled = round(side * 6 / 7 / stride) * stride
    return scaled - stride if scaled >= side else scaled


_BUILDERS = {
    "hflip": lambda frame: Mirrored(),
    "scale": _scaled,
    "rotate": _turned,
    "translate": _lowered,
}


def _resize(images: np.ndarray, height: int, width: int, kernel: str) -> np.ndarray:
    if kernel == "nearest":
        rows = nearest_places(images.shape[1], height)
        return images[:, rows][:, :, nearest_places(images.shape[2], width)]
    images = np.asarray(images, np.float32)
    by_row = np.einsum("bhwc,vh->bvwc", images, resize_matrix(images.shape[1], height))
    return np.einsum("bhwc,vw->bhvc", by_row, resize_matrix(images.shape[2], width))
