"""Where a heatmap looks, against the mask or the boxes of what it should look at.

Sources: pointing game: Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV
2016, Section 4.1; energy-based pointing game: Wang et al., "Score-CAM", CVPR Workshops 2020,
Section 4.3; boxes (MaxBoxAccV2) and pixels (PxAP): Choe et al., "Evaluating Weakly Supervised
Object Localization Methods Right", CVPR 2020, Section 3.2, and its extension in TPAMI 2022. NumPy
and SciPy only.

Heatmaps are float `[H, W]`, already enlarged to the image; masks are bool `[H, W]`; boxes are
`[K, 4]` of x, y, width, height in the same pixels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

POINTING_TOLERANCE = 15.0  # Pixels, as Zhang et al.
BOX_OVERLAPS = (0.3, 0.5, 0.7)  # Intersections over unions of MaxBoxAccV2.
NUM_THRESHOLDS = 50
_NEIGHBOURS = np.ones((3, 3), int)


def pointing_game(
    heatmap: np.ndarray, mask: np.ndarray, tolerance: float = POINTING_TOLERANCE
) -> float:
    """Whether the largest value lies in the mask or at most `tolerance` pixels from it.

    Returns:
        1.0 for a hit and 0.0 for a miss. Where several pixels share the largest value, as on the
        plateaus of enlarged maps, the share of them that hit; so a constant map scores chance.

    Raises:
        ValueError: shapes that differ, a value that is not finite, or a mask without pixels.
    """
    heatmap, mask = _checked(heatmap, mask)
    is_near = ndimage.distance_transform_edt(~mask) <= tolerance
    return float(np.mean(is_near[heatmap == heatmap.max()]))


def energy_inside(heatmap: np.ndarray, mask: np.ndarray) -> float | None:
    """The share of the heatmap's positive values that lies in the mask, 0 to 1.

    Negative values, which speak against the label, are no energy: the maps of Score-CAM end with a
    ReLU. None for a map without a positive value.

    Raises:
        ValueError: as `pointing_game`.
    """
    heatmap, mask = _checked(heatmap, mask)
    energy = np.maximum(heatmap, 0.0)
    total = energy.sum(dtype=np.float64)
    return float(energy[mask].sum(dtype=np.float64) / total) if total > 0 else None


def best_box_overlaps(
    heatmap: np.ndarray, boxes: np.ndarray, thresholds: int = NUM_THRESHOLDS
) -> np.ndarray:
    """The best overlap of a box around a region of the heatmap with an object's box.

    At each threshold t of 0, 1/T, ..., (T - 1)/T the map, scaled to 0..1, falls into regions of
    values >= t whose pixels touch (8 neighbours); each has its bounding box.

    Args:
        heatmap: float `[H, W]`.
        boxes: `[K, 4]`, K at least 1, of x, y, width, height in pixels.
        thresholds: T.

    Returns:
        float64 `[T]`, the largest intersection over union between any region's box and any of
        `boxes`. What `max_box_accuracy` takes.

    Raises:
        ValueError: no box, or a heatmap that is not a finite `[H, W]`.
    """
    unit, boxes = unit_scale(heatmap), np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes):
        raise ValueError(f"Expected boxes [K, 4] with K at least 1, got shape {boxes.shape}.")
    best, found, numbers = np.zeros(thresholds), [], []
    for number in range(thresholds):
        regions, count = ndimage.label(unit >= number / thresholds, _NEIGHBOURS)
        found += ndimage.find_objects(regions)
        numbers += [number] * count
    corners = np.array([(x.start, y.start, x.stop, y.stop) for y, x in found], np.float64)
    sizes = corners[:, 2:] - corners[:, :2]
    overlaps = box_overlaps(np.hstack([corners[:, :2], sizes]), boxes).max(axis=1)
    np.maximum.at(best, numbers, overlaps)
    return best


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `[A, 4]` and `[B, 4]` (x, y, width, height): `[A, B]`."""
    first, second = first[:, None], second[None]
    start = np.maximum(first[..., :2], second[..., :2])
    end = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    shared = np.prod(np.maximum(end - start, 0.0), axis=-1)
    areas = np.prod(first[..., 2:], axis=-1) + np.prod(second[..., 2:], axis=-1)
    return shared / np.maximum(areas - shared, 1e-12)


def max_box_accuracy(
    overlaps: np.ndarray, least_overlaps: Sequence[float] = BOX_OVERLAPS
) -> float | None:
    """MaxBoxAccV2: the share of maps whose box fits, at the best threshold of all maps.

    Args:
        overlaps: `[P, T]`, of `best_box_overlaps`, one row per map.
        least_overlaps: what counts as a fit; the mean over them is returned.

    Returns:
        0 to 1; None without a map.
    """
    overlaps = np.asarray(overlaps)
    if not len(overlaps):
        return None
    return float(np.mean([(overlaps >= least).mean(axis=0).max() for least in least_overlaps]))


class MaskOverlap:
    """Intersection over union of masks with the pixels above the best threshold for all maps.

    Every map is scaled to 0..1 by itself. The peak over the thresholds of the mean over maps: one
    threshold for all, as in MaxBoxAccV2.
    """

    def __init__(self, thresholds: int = NUM_THRESHOLDS):
        self._sum, self._maps = np.zeros(thresholds), 0

    def update(self, heatmap: np.ndarray, mask: np.ndarray) -> None:
        """Adds one map and its mask; ValueError as `pointing_game`."""
        heatmap, mask = _checked(heatmap, mask)
        size = len(self._sum)
        bins = np.minimum((unit_scale(heatmap) * size).astype(np.int64), size - 1)
        inside, outside = (
            np.bincount(pixels, minlength=size)[::-1].cumsum()[::-1]
            for pixels in (bins[mask], bins[~mask])
        )
        self._sum += inside / (mask.sum() + outside)
        self._maps += 1

    def result(self) -> float | None:
        """0 to 1; None without a map."""
        return float(self._sum.max() / self._maps) if self._maps else None


class PixelPrecision:
    """PxAP: average precision of the pixels of all maps together, by histograms of their values.

    The pixels of a mask are the positives; every map is scaled to 0..1 by itself, and one threshold
    goes over all maps (Equations 3 and 4 of Choe et al.). Memory does not grow with the maps.
    """

    def __init__(self, thresholds: int = 1000):
        self._counts = np.zeros((2, thresholds), np.int64)  # Outside and inside of masks.

    def update(self, heatmap: np.ndarray, mask: np.ndarray) -> None:
        """Adds one map and its mask; ValueError as `pointing_game`."""
        heatmap, mask = _checked(heatmap, mask)
        size = self._counts.shape[1]
        bins = np.minimum((unit_scale(heatmap) * size).astype(np.int64), size - 1)
        for row, pixels in enumerate((bins[~mask], bins[mask])):
            self._counts[row] += np.bincount(pixels, minlength=size)

    def result(self) -> float | None:
        """The area under precision over recall, as a sum of steps; None without a map."""
        outside, inside = self._counts[:, ::-1].cumsum(axis=1)
        if not inside[-1]:
            return None
        precision = inside / np.maximum(inside + outside, 1)
        return float(np.sum(precision * np.diff(inside / inside[-1], prepend=0.0)))


def unit_scale(heatmap: np.ndarray) -> np.ndarray:
    """A map scaled to 0..1, least to greatest value; a constant one becomes 0.

    Raises:
        ValueError: not a finite `[H, W]` with a pixel.
    """
    heatmap = np.asarray(heatmap, np.float32)
    if heatmap.ndim != 2 or not heatmap.size or not np.isfinite(heatmap).all():
        raise ValueError(
            f"Expected a heatmap [H, W] of finite values, got shape {heatmap.shape} with"
            f" {np.sum(~np.isfinite(heatmap))} values that are not finite."
        )
    least = heatmap.min()
    span = heatmap.max() - least
    return (heatmap - least) / span if span > 0 else np.zeros_like(heatmap)


def _checked(heatmap: ArrayLike, mask: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    heatmap, mask = np.asarray(heatmap), np.asarray(mask)
    if heatmap.shape != mask.shape or mask.ndim != 2 or mask.dtype != bool or not mask.any():
        raise ValueError(
            "Expected a heatmap [H, W] and a bool mask [H, W] with at least one pixel, got shapes"
            f" {heatmap.shape} and {mask.shape} ({mask.dtype}, {np.count_nonzero(mask)} pixels)."
        )
    if not np.isfinite(heatmap).all():
        raise ValueError(f"{np.sum(~np.isfinite(heatmap))} values of the heatmap are not finite.")
    return heatmap, mask
