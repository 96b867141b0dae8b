"""Where heatmaps look, in pixels of the image file: peak, centroid, box.

All maps of a batch are looked at in one pass; their cells come first, so that each step of it runs
over maps that lie side by side in memory.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from export.scoring.output.decimal_rounding import round_decimals

# Row and column are those of the peak; x, y, w, h is a box as in lists of inputs.
PIXEL_FIELDS = ("row", "column", "centroid_row", "centroid_column", "x", "y", "w", "h")
_NUMBERS = ("value", *PIXEL_FIELDS)
_DECIMALS = 2  # Of pixels.


@dataclasses.dataclass(frozen=True)
class Peaks:
    """The heatmaps that N rows show, K in all, by column.

    Attributes:
        counts: int `[N]`, how many heatmaps each row shows; those of a row lie side by side.
        labels: int `[K]`, the label of each.
        values: float64 `[K]`, its largest value; NaN where the map has a value that is not finite.
        places: float64 `[K, 8]`, its `PIXEL_FIELDS`; NaN for what there is not.
        files: K names of files, None for a map without one; None when no files are written.
    """

    counts: np.ndarray
    labels: np.ndarray
    values: np.ndarray
    places: np.ndarray
    files: Sequence[str | None] | None = None

    @property
    def offsets(self) -> np.ndarray:
        """Where the heatmaps of each row begin, and the end of the last, int32 `[N + 1]`."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int32)

    def take(self, rows: np.ndarray) -> "Peaks":
        """Some of the rows, by their ascending places among these."""
        wanted = np.zeros(len(self.counts), bool)
        wanted[rows] = True
        index = np.flatnonzero(wanted.repeat(self.counts))
        files = None if self.files is None else [self.files[number] for number in index.tolist()]
        labels, values, places = (c[index] for c in (self.labels, self.values, self.places))
        return Peaks(self.counts[rows], labels, values, places, files)

    @classmethod
    def join(cls, pieces: Sequence["Peaks"]) -> "Peaks":
        """The rows of several, one behind the other; all of them have files, or none."""
        names = ("counts", "labels", "values", "places")
        counts, labels, values, places = (
            np.concatenate([getattr(piece, name) for piece in pieces]) for name in names
        )
        has_files = pieces[0].files is not None
        files = [name for piece in pieces for name in piece.files or ()] if has_files else None
        return cls(counts, labels, values, places, files)

    def objects(self, label_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """One list per row: a dictionary per heatmap, with None for what there is not."""
        numbers = np.column_stack([self.values, self.places])
        known = numbers.astype(object)
        known[np.isnan(numbers)] = None
        files = self.files or itertools.repeat(None)
        entries = [
            {"label": label_names[label], **dict(zip(_NUMBERS, values, strict=True)), "file": file}
            for label, values, file in zip(self.labels, known.tolist(), files, strict=False)
        ]
        return [entries[first:last] for first, last in itertools.pairwise(self.offsets)]


def describe_peaks(maps: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Peak, centroid and box of K heatmaps.

    The peak is the first cell of the largest value, row by row. The region is the cells around it,
    connected by their sides, that are above half of that value; the centroid is weighted by their
    values, the box is around them. A map without a positive value speaks for its label nowhere: it
    has a peak, and no region. Of a map with a value that is not finite nothing is said.

    Args:
        maps: float `[h, w, K]`.
        corners: int `[K, 4]`: left, top, right, bottom of what the network saw, in pixels of the
            image file.

    Returns:
        The largest values, float64 `[K]` with 6 decimals, and the `PIXEL_FIELDS`, float64 `[K, 8]`
        with 2 decimals; NaN for what there is not. (0, 0) is the top left corner of the image, and
        the middle of its first pixel is (0.5, 0.5).
    """
    finite = np.isfinite(maps).all(axis=(0, 1))
    if not finite.all():
        values = np.full(len(finite), np.nan)
        places = np.full((len(finite), len(PIXEL_FIELDS)), np.nan)
        values[finite], places[finite] = describe_peaks(maps[:, :, finite], corners[finite])
        return values, places
    height, width, count = maps.shape
    cells = maps.reshape(height * width, count)
    peaks = (cells == cells.max(axis=0)).argmax(axis=0)
    largest = cells[peaks, np.arange(count)]
    region = _regions(maps > largest / 2.0, peaks) & (largest > 0.0)
    # From here on the axes are down and across: (row, column), (top, left), (height, width).
    start = corners[:, [1, 0]].astype(np.float64)
    cell = (corners[:, [3, 2]] - start) / (height, width)
    first, last = _boxes(region)
    places = np.empty((count, len(PIXEL_FIELDS)))
    places[:, :2] = start + (np.stack(np.divmod(peaks, width), axis=1) + 0.5) * cell
    places[:, 2:4] = _centroids(region, maps, start, cell)
    places[:, 4:6] = (start + first * cell)[:, ::-1]
    places[:, 6:] = ((last - first) * cell)[:, ::-1]
    places[largest <= 0.0, 2:] = np.nan
    # Cells are many pixels wide: more digits would only be noise.
    return round_decimals(largest, 6), round_decimals(places, _DECIMALS)


def _regions(inside: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """The cells of K masks that are connected with a cell of each, by their sides.

    Args:
        inside: bool `[h, w, K]`.
        peaks: int `[K]`, the cells as numbers of `h * w`.
    """
    height, width, count = inside.shape
    region = np.zeros(inside.shape, bool)
    region.reshape(height * width, count)[peaks, np.arange(count)] = True
    while True:
        grown = region.copy()
        grown[1:] |= region[:-1]
        grown[:-1] |= region[1:]
        grown[:, 1:] |= region[:, :-1]
        grown[:, :-1] |= region[:, 1:]
        grown &= inside
        if np.array_equal(grown, region):
            return region
        region = grown


def _boxes(region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row and column of K regions, and those behind the last, int `[K, 2]` each."""
    lines = [np.logical_or.reduce(region, axis=axis) for axis in (1, 0)]
    first = [line.argmax(axis=0) for line in lines]
    last = [len(line) - line[::-1].argmax(axis=0) for line in lines]
    return np.stack(first, axis=1), np.stack(last, axis=1)


def _centroids(
    region: np.ndarray, maps: np.ndarray, start: np.ndarray, cell: np.ndarray
) -> np.ndarray:
    """Centroids of K regions in pixels, float64 `[K, 2]`; NaN for an empty region."""
    weights = np.where(region, maps, 0.0).astype(np.float64)
    total = weights.sum(axis=(0, 1))
    weights /= np.where(total > 0.0, total, np.nan)
    down, across = (
        ((np.arange(len(line)) + 0.5)[:, None] * line).sum(axis=0)
        for line in (weights.sum(axis=1), weights.sum(axis=0))
    )
    pixels = start + np.stack([down, across], axis=1) * cell
    # Next to a half the rounding of the sums decides the last digit. One map alone always has the
    # same sums, whatever maps lie beside it.
    near_half = np.abs(pixels * 10.0**_DECIMALS % 1.0 - 0.5) < 1e-6
    for k in np.flatnonzero(near_half.any(axis=1) & (region.sum(axis=(0, 1)) > 1)):
        pixels[k] = start[k] + _centroid(region[:, :, k], maps[:, :, k]) * cell[k]
    return pixels


def _centroid(region: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Row and column of one region's centroid in cells."""
    weights = heatmap[region].astype(np.float64)
    cells = np.ascontiguousarray(np.argwhere(region))
    return (cells + 0.5).T @ (weights / weights.sum())
