"""Where a heatmap looks, in pixels of the image file: peak, centroid, box."""

from collections import deque
from typing import Any

import numpy as np

# Name -> whether it is a number of pixels. Row and column are those of the peak; x, y, w, h is a
# box as in lists of inputs.
PIXEL_FIELDS = ("row", "column", "centroid_row", "centroid_column", "x", "y", "w", "h")


def describe_peak(heatmap: np.ndarray, corners: tuple[int, int, int, int]) -> dict[str, Any]:
    """Peak, centroid and box of one label's heatmap.

    The region is the cells around the peak, connected by their sides, that are above half of the
    largest value; the centroid is weighted by their values. A heatmap without a positive value
    speaks for the label nowhere: it has a peak, and no region.

    Args:
        heatmap: float `[h, w]`.
        corners: Left, top, right, bottom of what the network saw, in pixels of the image file.

    Returns:
        `value` (the largest) and `PIXEL_FIELDS`, where (0, 0) is the top left corner of the image
        and the middle of its first pixel is (0.5, 0.5); None for what there is not.
    """
    result = dict.fromkeys(("value", *PIXEL_FIELDS))
    if not np.isfinite(heatmap).all():
        return result
    left, top, right, bottom = corners
    cell_height = (bottom - top) / heatmap.shape[0]
    cell_width = (right - left) / heatmap.shape[1]
    peak = tuple(map(int, np.unravel_index(heatmap.argmax(), heatmap.shape)))
    result["value"] = round(float(heatmap[peak]), 6)
    places = {"row": top + (peak[0] + 0.5) * cell_height}
    places["column"] = left + (peak[1] + 0.5) * cell_width
    if heatmap[peak] > 0.0:
        cells = np.array(sorted(_region(heatmap > heatmap[peak] / 2.0, peak)))
        weights = heatmap[cells[:, 0], cells[:, 1]].astype(np.float64)
        centre = (cells + 0.5).T @ (weights / weights.sum())
        places["centroid_row"] = top + centre[0] * cell_height
        places["centroid_column"] = left + centre[1] * cell_width
        first, last = cells.min(axis=0), cells.max(axis=0) + 1
        places["x"], places["y"] = left + first[1] * cell_width, top + first[0] * cell_height
        places["w"], places["h"] = (last - first)[::-1] * (cell_width, cell_height)
    # Cells are many pixels wide: more digits would only be noise.
    return result | {name: round(float(value), 2) for name, value in places.items()}


def _region(inside: np.ndarray, start: tuple[int, int]) -> set[tuple[int, int]]:
    """The cells of a mask that are connected with `start`, by their sides."""
    found, waiting = {start}, deque([start])
    while waiting:
        row, column = waiting.popleft()
        for cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if (
                0 <= cell[0] < inside.shape[0]
                and 0 <= cell[1] < inside.shape[1]
                and inside[cell]
                and cell not in found
            ):
                found.add(cell)
                waiting.append(cell)
    return found
