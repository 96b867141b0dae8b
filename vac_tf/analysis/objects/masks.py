"""The pixels of an annotated object as a mask, and what the mask says of it."""

import numpy as np
from pycocotools import mask as coco_mask

from vac_tf.datasets.split import DatasetError, ObjectAnnotation

# pycocotools walks along every edge in fifths of a pixel: a damaged coordinate takes all memory.
_FARTHEST = 10


def object_mask(annotation: ObjectAnnotation, height: int, width: int) -> np.ndarray:
    """The mask of an object, rasterised by pycocotools.

    Polygons are cut at the border of the image; one of fewer than three points has no pixels. An
    object without segmentation (none, or an empty list) is taken to fill its box.

    Args:
        annotation: with polygons, or run lengths (a list of numbers, or COCO's compressed text).
        height: of the image in pixels, as stored in the file.
        width: of the image in pixels.

    Returns:
        bool `[height, width]`.

    Raises:
        DatasetError: a segmentation that is damaged, or of another size than the image.
    """
    segmentation = annotation.segmentation
    if isinstance(segmentation, dict):
        run_lengths = _checked_run_lengths(segmentation, height, width)
    elif segmentation is None or segmentation == []:
        polygons = _checked_polygons([_corners(annotation.box)], height, width)
        run_lengths = _draw(polygons, height, width)
    elif isinstance(segmentation, list):
        run_lengths = _draw(_checked_polygons(segmentation, height, width), height, width)
    else:
        raise DatasetError(
            "The segmentation must be a list of polygons or a dict with `size` and `counts`, got"
            f" a {type(segmentation).__name__}."
        )
    return coco_mask.decode(run_lengths).astype(bool)


def mask_quantities(mask: np.ndarray) -> dict[str, float]:
    """Size and place of a bool mask `[H, W]`, whatever the scale of the picture.

    Returns:
        `size`, its area over the image's; `distance`, from its centroid to the centre of the image
        over half the image's diagonal, NaN for a mask without pixels.
    """
    height, width = mask.shape
    by_row, by_column = mask.sum(axis=1), mask.sum(axis=0)
    area = int(by_row.sum())
    if not area:
        return {"size": 0.0, "distance": float("nan")}
    # Pixel i spans i .. i + 1, so that a larger picture of the same scene gives the same values.
    row = by_row @ (np.arange(height) + 0.5) / area
    column = by_column @ (np.arange(width) + 0.5) / area
    offset = np.hypot(row - height / 2, column - width / 2)
    return {"size": area / mask.size, "distance": float(offset / (np.hypot(height, width) / 2))}


def touches_border(mask: np.ndarray) -> bool:
    """Whether a bool mask `[H, W]` reaches an edge of the image."""
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def _corners(box) -> list[float]:
    x, y, width, height = box
    right, bottom = x + max(width, 0), y + max(height, 0)
    return [x, y, right, y, right, bottom, x, bottom]


def _draw(polygons: list[list[float]], height: int, width: int) -> dict:
    if not polygons:
        return coco_mask.encode(np.zeros((height, width), np.uint8, order="F"))
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))


def _checked_polygons(polygons: list, height: int, width: int) -> list[list[float]]:
    """The polygons with at least three points."""
    farthest = _FARTHEST * max(height, width)
    for number, polygon in enumerate(polygons):
        is_list = isinstance(polygon, list) and all(_is_number(value) for value in polygon)
        if not is_list or len(polygon) % 2:
            raise DatasetError(
                f"Polygon {number} of the segmentation must be a flat list [x1, y1, x2, y2, ...]"
                f" of numbers, got {_shortened(polygon)}."
            )
        # Written so that NaN, which compares false, is caught too.
        if not all(abs(value) <= farthest for value in polygon):
            raise DatasetError(
                f"Polygon {number} of the segmentation has a coordinate beyond {farthest}, or not"
                f" a finite one, on an image of {width} x {height} pixels: {_shortened(polygon)}."
            )
    return [polygon for polygon in polygons if len(polygon) >= 6]


def _checked_run_lengths(segmentation: dict, height: int, width: int) -> dict:
    """The run lengths in compressed form; they are sure to fill the image."""
    if segmentation.get("size") not in ([height, width], (height, width)):
        raise DatasetError(
            f"The run-length mask has size {segmentation.get('size')}, but the image is"
            f" [{height}, {width}] (height, width): annotations and images do not belong together."
        )
    counts = segmentation.get("counts")
    runs = counts if isinstance(counts, list) else _decompressed(counts)
    if not all(isinstance(run, int) and run >= 0 for run in runs):
        raise DatasetError(f"Run lengths must be integers from 0, got {_shortened(runs)}.")
    # pycocotools leaves memory uninitialised where the runs end early.
    if sum(runs) != height * width:
        raise DatasetError(
            f"The run lengths add up to {sum(runs)} pixels, but the image has {height} x {width} ="
            f" {height * width}: the mask is damaged or cut short."
        )
    if isinstance(counts, list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return {"size": [height, width], "counts": counts}


def _decompressed(counts) -> list[int]:
    """Run lengths from COCO's text.

    Each number takes characters of five bits, low bits first, and a sixth bit that says whether
    more follow; from the fourth number on it is the difference to the number two before it.
    """
    text = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
    if not isinstance(text, bytes):
        raise DatasetError(
            f"`counts` of a run-length mask must be a list or text, got {_shortened(counts)}."
        )
    runs, value, shift = [], 0, 0
    for character in text:
        bits = character - 48
        if not 0 <= bits < 64:
            raise DatasetError(f"The compressed run lengths hold the character {chr(character)!r}.")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise DatasetError("The compressed run lengths end within a number: the text is cut short.")
    return runs


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shortened(value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
