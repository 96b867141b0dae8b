"""How far heatmaps fail to follow a transform: the inconsistency of the VAC paper's Table 2.

Source: Guo et al., "Visual Attention Consistency under Image Transforms for Multi-Label Image
Classification", CVPR 2019, Equation 5 and Table 2. NumPy only.
"""

import numpy as np
from numpy.typing import ArrayLike

from vac_tf.geometry.grids import common_pieces


class InconsistencyAccumulator:
    """Collects one transform's inconsistency over the batches of a data set."""

    def __init__(self) -> None:
        self._num_maps = 0
        self._squared_difference = 0.0
        self._variance = 0.0

    def update(
        self,
        first: ArrayLike,
        second: ArrayLike,
        mask: ArrayLike | None = None,
        original: ArrayLike | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            first: [N, h, w, L], T(heatmaps of the images).
            second: [N, h2, w2, L], heatmaps of T(images); its grid may differ (scaling).
            mask: [h, w], true for the cells of `first` that count; default all of them. (A
                translated heatmap has cells that nothing was moved into.)
            original: [N, ., ., L], the heatmaps of the images before T, whose variance is the
                unit of the relative inconsistency. Default: the counted cells of `first`, which
                is the same for a flip, a rotation or a scaling.

        Raises:
            ValueError: shapes that do not fit, non-finite heatmaps, or an empty mask.
        """
        first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
        mask = np.ones(first.shape[1:3], bool) if mask is None else np.asarray(mask, bool)
        _check_shapes(first, second, mask)
        _check_finite(first, "first")
        _check_finite(second, "second")
        if original is None:
            cells = first[:, mask]
        else:
            original = np.asarray(original, np.float64)
            _check_finite(original, "original")
            cells = original.reshape(len(original), -1, original.shape[-1])
            if (len(cells), cells.shape[-1]) != (len(first), first.shape[-1]):
                raise ValueError(
                    f"Got original heatmaps of shape {original.shape} for transformed ones of"
                    f" shape {first.shape}. Expected the same images and labels."
                )
        # Differences to the first cell: a constant map then has a variance of exactly 0.
        self._variance += float(np.sum(np.var(cells - cells[:, :1], axis=1)))
        self._squared_difference += float(np.sum(mean_squared_map_difference(first, second, mask)))
        self._num_maps += first.shape[0] * first.shape[-1]

    def result(self) -> dict[str, float | None]:
        """The inconsistency over everything added so far.

        Returns:
            `raw`, the mean over images, labels and cells of the squared difference (Equation 5),
            in squared units of the heatmaps; and `relative`, `raw` divided by the mean over
            images and labels of each map's own variance over its cells, which compares networks
            whose heatmaps have different sizes: 0 for perfect consistency, 2 for maps of equal
            mean and variance that have nothing to do with each other. `relative` is None when
            every map is constant, as its unit is then 0.

        Raises:
            ValueError: nothing was added.
        """
        if not self._num_maps:
            raise ValueError("No heatmaps were added. Call update() with at least one image first.")
        raw = self._squared_difference / self._num_maps
        variance = self._variance / self._num_maps
        return {"raw": raw, "relative": raw / variance if variance > 0 else None}


def mean_squared_map_difference(
    first: ArrayLike, second: ArrayLike, mask: ArrayLike | None = None
) -> np.ndarray:
    """Mean squared difference of two stacks of heatmaps, whose grids may differ.

    Both grids cover the same area. The paper up-samples both to their least common multiple by
    repeating cells (7 and 6 cells become 42) and compares there. Between two successive borders
    of either grid both repeated maps are constant, so it is enough to compare once per such
    piece (12 pieces instead of 42) and to weight it by its length; the result is the same.

    Args:
        first: [N, h, w, L].
        second: [N, h2, w2, L].
        mask: [h, w], true for the cells of `first` that count; default all of them.

    Returns:
        float64 [N, L], the mean over the (counted) area.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    first_rows, second_rows, heights = common_pieces(first.shape[1], second.shape[1])
    first_columns, second_columns, widths = common_pieces(first.shape[2], second.shape[2])
    area = np.outer(heights, widths)
    if mask is not None:
        area = area * np.asarray(mask, bool)[np.ix_(first_rows, first_columns)]
    difference = (
        first[:, first_rows][:, :, first_columns] - second[:, second_rows][:, :, second_columns]
    )
    return np.einsum("nhwl,hw->nl", difference**2, area / area.sum())


def _check_shapes(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> None:
    fits = first.ndim == second.ndim == 4 and first.size and second.size
    if not fits or (first.shape[0], first.shape[-1]) != (second.shape[0], second.shape[-1]):
        raise ValueError(
            f"Got heatmaps of shapes {first.shape} and {second.shape}. Expected [N, h, w, L] and"
            " [N, h2, w2, L] with the same images and labels."
        )
    if mask.shape != first.shape[1:3] or not mask.any():
        raise ValueError(
            f"Got a mask of shape {mask.shape} with {int(mask.sum())} true cells for heatmaps of"
            f" {first.shape[1:3]} cells. Expected the same shape and at least one true cell."
        )


def _check_finite(heatmaps: np.ndarray, name: str) -> None:
    if not np.isfinite(heatmaps).all():
        image = np.argwhere(~np.isfinite(heatmaps))[0][0]
        raise ValueError(
            f"The {name} heatmaps of image {image} of the batch hold NaN or infinite values."
            " Expected finite numbers: the network has diverged or was given a bad image."
        )
