"""One row per annotated object: how large, how central, how salient it is, and whether found."""

import io
import os
from collections.abc import Callable

import numpy as np
from PIL import Image

from vac_tf.analysis.objects.masks import mask_quantities, object_mask, touches_border
from vac_tf.datasets.packed_images import open_image
from vac_tf.datasets.split import DatasetError, Split
from vac_tf.figures.heatmap_overlay import enlarge
from vac_tf.runs.atomic_file import write_atomically

QUANTITIES = ("size", "distance", "predicted_saliency", "true_saliency")
CROWD, NO_PIXELS = "crowd", "no pixels"
TABLE_SUFFIXES = (".csv", ".parquet")

SaliencyMaps = Callable[[int], np.ndarray | None]


def object_table(
    split: Split,
    predicted: np.ndarray,
    predicted_saliency: SaliencyMaps | None = None,
    true_saliency: SaliencyMaps | None = None,
    include_crowds: bool = False,
) -> dict[str, np.ndarray]:
    """The quantities of Section 3.2 of the dual-stream paper (Luo et al., 2019), per object.

    Masks lie in the pixels of the image as stored, whatever its EXIF orientation says, and end at
    its border: an object that the photograph cuts off counts with its visible part. Every object
    has a row; `left_out` names those that no statistic uses.

    Args:
        split: read with objects; its images are whole, not crops of boxes.
        predicted: bool `[N, L]`, whether each label is predicted for each image.
        predicted_saliency: index of an image -> its map `[h, w]` of any resolution, finite; None
            for an image without a map.
        true_saliency: likewise, the map of human fixations.
        include_crowds: whether statistics use objects marked `iscrowd` (groups in one mask).

    Returns:
        Columns of equal length, in the order of the images and their objects:

        * `image` int64, index into the split; `image_path`; `object` int64, index into the
          image's objects; `label` int64; `category`, the name of the label;
        * `size` float64, mask area over image area; `distance` float64, from the centroid of the
          mask to the centre of the image over half the image's diagonal, NaN without pixels;
        * `predicted_saliency`, `true_saliency` float64, only where maps were given: the largest
          value inside the mask, each map scaled to 0..1 (least to greatest value) and enlarged
          bilinearly to the image; NaN without pixels, without a map, or where it is constant;
        * `found` bool, whether the object's label is predicted for its image;
        * `box_x`, `box_y`, `box_width`, `box_height` float64, pixels as annotated; `is_crowd` bool;
          `area` int64, pixels of the mask; `touches_border` bool;
        * `left_out`: "" for a row that is used, "crowd" or "no pixels".

    Raises:
        DatasetError: a split without objects or of crops, an unreadable image, or a damaged mask,
            with the image and the object.
        ValueError: `predicted` of another shape, or a map that is not a finite `[h, w]`.
    """
    predicted = _checked(split, predicted)
    maps = {"predicted_saliency": predicted_saliency, "true_saliency": true_saliency}
    maps = {name: function for name, function in maps.items() if function is not None}
    rows = []
    for image, objects in enumerate(split.objects):
        if not objects:
            continue
        height, width = image_size(split.image_paths[image])
        enlarged = {
            name: _unit_map(function(image), height, width, f"{name} of {split.image_paths[image]}")
            for name, function in maps.items()
        }
        for number, annotation in enumerate(objects):
            mask = _mask(split, image, number, height, width)
            row = {"image": image, "image_path": split.image_paths[image], "object": number}
            row |= {
                "label": annotation.category,
                "category": split.label_names[annotation.category],
            }
            row |= mask_quantities(mask)
            row |= {name: _largest(values, mask) for name, values in enlarged.items()}
            row["found"] = bool(predicted[image, annotation.category])
            row |= _annotated(annotation)
            row |= {"area": int(mask.sum()), "touches_border": touches_border(mask)}
            is_left_out = annotation.is_crowd and not include_crowds
            row["left_out"] = CROWD if is_left_out else "" if mask.any() else NO_PIXELS
            rows.append(row)
    return _columns(rows, tuple(maps))


def image_size(path: str) -> tuple[int, int]:
    """Height and width in pixels, from the header of an image file.

    Raises:
        DatasetError: when the file is no image, or too large for Pillow.
    """
    try:
        with open_image(path) as file, Image.open(file) as image:
            return image.height, image.width
    except (OSError, Image.DecompressionBombError) as error:
        raise DatasetError(f"Cannot read the size of image {path}: {error}.") from error


def count_objects(split: Split, include_crowds: bool = False) -> np.ndarray:
    """Number of annotated objects of each image, int64 `[N]`; crowds count only on request."""
    if split.objects is None:
        raise DatasetError(_WITHOUT_OBJECTS.format(split=split))
    counted = [[include_crowds or not item.is_crowd for item in image] for image in split.objects]
    return np.array([sum(image) for image in counted], np.int64)


def write_object_table(path: str, table: dict[str, np.ndarray]) -> None:
    """Writes the columns as CSV or Parquet, by the suffix of `path`, atomically.

    NaN becomes an empty field or null.

    Raises:
        ValueError: for a suffix other than .csv and .parquet.
    """
    # Imported here: only the writing needs pyarrow, and it takes long to load.
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    suffix = os.path.splitext(path)[1].lower()
    writers = dict(
        zip(TABLE_SUFFIXES, (pyarrow.csv.write_csv, pyarrow.parquet.write_table), strict=True)
    )
    if suffix not in writers:
        raise ValueError(
            f"Unknown type of table {path!r}. Expected a name that ends in"
            f" {' or '.join(TABLE_SUFFIXES)}."
        )
    columns = {name: pyarrow.array(column, from_pandas=True) for name, column in table.items()}
    buffer = io.BytesIO()
    writers[suffix](pyarrow.table(columns), buffer)
    write_atomically(path, buffer.getvalue())


_WITHOUT_OBJECTS = (
    "Split {split.name!r} of dataset {split.dataset!r} has no annotated objects. Expected a split"
    " of coco, voc or scenes, read with with_objects=True."
)


def _checked(split: Split, predicted) -> np.ndarray:
    if split.objects is None:
        raise DatasetError(_WITHOUT_OBJECTS.format(split=split))
    if split.boxes is not None:
        raise DatasetError(
            f"The examples of split {split.name!r} are crops of boxes, whose objects have no place"
            " in them. Expected whole images."
        )
    predicted = np.asarray(predicted)
    if predicted.dtype != bool or predicted.shape != split.labels.shape:
        raise ValueError(
            f"Predictions must be bool of shape {split.labels.shape} (images, labels), got"
            f" {predicted.dtype} of shape {predicted.shape}."
        )
    return predicted


def _mask(split: Split, image: int, number: int, height: int, width: int) -> np.ndarray:
    annotation = split.objects[image][number]
    try:
        return object_mask(annotation, height, width)
    except DatasetError as error:
        raise DatasetError(
            f"{split.image_paths[image]}, object {number}"
            f" ({split.label_names[annotation.category]}): {error}"
        ) from error


def _unit_map(values, height: int, width: int, name: str) -> np.ndarray | None:
    """A map scaled to 0..1 at the size of the image; None where there is none or it is constant."""
    if values is None:
        return None
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"The {name} must be a finite map [h, w], got shape {values.shape} with"
            f" {np.sum(~np.isfinite(values))} values that are not finite."
        )
    low, high = float(values.min()), float(values.max())
    if low == high:
        return None
    return enlarge((values - low) / (high - low), height, width)


def _largest(values: np.ndarray | None, mask: np.ndarray) -> float:
    return float("nan") if values is None or not mask.any() else float(values[mask].max())


def _annotated(annotation) -> dict:
    x, y, width, height = (float(value) for value in annotation.box)
    box = {"box_x": x, "box_y": y, "box_width": width, "box_height": height}
    return box | {"is_crowd": annotation.is_crowd}


_DTYPES = {
    "image": np.int64,
    "image_path": object,
    "object": np.int64,
    "label": np.int64,
    "category": object,
    **dict.fromkeys(QUANTITIES, np.float64),
    "found": bool,
    **dict.fromkeys(("box_x", "box_y", "box_width", "box_height"), np.float64),
    "is_crowd": bool,
    "area": np.int64,
    "touches_border": bool,
    "left_out": object,
}


def _columns(rows: list[dict], given_maps: tuple[str, ...]) -> dict[str, np.ndarray]:
    absent = set(QUANTITIES[2:]) - set(given_maps)
    return {
        name: np.array([row[name] for row in rows], dtype)
        for name, dtype in _DTYPES.items()
        if name not in absent
    }
