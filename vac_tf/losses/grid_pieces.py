"""Two stacks of maps on the pieces that their grids have in common."""

import numpy as np
from keras import ops

from vac_tf.geometry.grids import common_pieces
from vac_tf.geometry.tensors import Tensor


def on_common_pieces(
    first: Tensor, second: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Both stacks on the pieces into which the borders of either grid cut the area.

    Grids of different sizes (7x7 and 6x6) are compared as if both were up-sampled to their least
    common multiple (42x42) by nearest neighbour: each pair of overlapping cells counts with the
    area of its overlap. The large grid is never built.

    Args:
        first: `[B, h, w, L]`.
        second: `[B, h2, w2, L]`.
        mask: Optional `[h, w]`, 0 for the cells of `first` that are left out.

    Returns:
        float32 `first` and `second` `[B, rows, columns, L]`, and the area of each piece
        `[1, rows, columns, 1]`, 0 where it is left out; areas sum to 1.

    Raises:
        ValueError: when the grid sizes are not known or the label counts differ.
    """
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"Heatmaps must have equal label counts, got shapes {first.shape} and {second.shape}."
        )
    first_rows, second_rows, heights = _pieces(first.shape[1], second.shape[1])
    first_columns, second_columns, widths = _pieces(first.shape[2], second.shape[2])
    area = np.outer(heights, widths).astype("float32")
    if mask is not None:
        area = area * np.asarray(mask, "float32")[first_rows][:, first_columns]
    area = ops.convert_to_tensor((area / area.sum())[None, :, :, None], dtype="float32")
    first = _take_cells(first, first_rows, first_columns)
    return first, _take_cells(second, second_rows, second_columns), area


def _pieces(
    first_cells: int | None, second_cells: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if first_cells is None or second_cells is None:
        raise ValueError(
            "The heatmap grids must have known sizes; resize the images to a fixed size first."
        )
    return common_pieces(first_cells, second_cells)


def _take_cells(heatmaps: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    heatmaps = ops.cast(heatmaps, "float32")
    if len(rows) != heatmaps.shape[1]:
        heatmaps = ops.take(heatmaps, rows, axis=1)
    if len(columns) != heatmaps.shape[2]:
        heatmaps = ops.take(heatmaps, columns, axis=2)
    return heatmaps
