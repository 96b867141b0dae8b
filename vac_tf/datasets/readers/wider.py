"""WIDER Attribute: one example per person box, 14 attributes that may be unspecified."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.json_file import is_box, is_number, read_json_object
from vac_tf.datasets.readers.official_counts import warn_of_other_count
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

# Split -> file, prefix of the file names inside it ("trainval" has both "train/" and "val/").
_SPLITS = {
    "train": ("wider_attribute_trainval.json", "train/"),
    "val": ("wider_attribute_trainval.json", "val/"),
    "trainval": ("wider_attribute_trainval.json", ""),
    "test": ("wider_attribute_test.json", ""),
}
_ANNOTATION_FOLDERS = ("", "wider_attribute_annotation", "Annotation", "Annotations")
_OFFICIAL_BOXES = {"trainval": 28_345, "test": 29_179}
_LABEL_VALUES = {1: 1.0, -1: 0.0, 0: math.nan}


@dataclasses.dataclass
class _Examples:
    """Examples gathered so far, column by column."""

    paths: list[str] = dataclasses.field(default_factory=list)
    labels: list[list[float]] = dataclasses.field(default_factory=list)
    boxes: list[list[float]] = dataclasses.field(default_factory=list)


def read_wider(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
) -> Split:
    """Reads one split of WIDER Attribute (Li et al., ECCV 2016) in its official layout.

    The annotations are `wider_attribute_trainval.json` and `wider_attribute_test.json` in
    `data_dir`, `wider_attribute_annotation`, `Annotation` or `Annotations`; the images lie under
    `data_dir/Image`. Attribute values 1, -1 and 0 become 1, 0 and NaN (unspecified); labels are
    in the order of their integer ids. Boxes are those of the file, unchanged: they may stick out
    of the image or lie outside it.

    Args:
        data_dir: folder of the dataset.
        split: "trainval", "test", or "train" or "val": the images of trainval whose file name
            begins with "train/" or "val/".
        rejected: None to raise on the first bad row, or a list that takes the rows left out.
        keep_missing: keep rows whose image is missing, to be left out with the unreadable ones.

    Raises:
        DatasetError: when a file is missing or damaged, or a row is bad.
    """
    if split not in _SPLITS:
        raise UnknownSplitError(
            f"Unknown split {split!r} of WIDER Attribute. Known: {', '.join(_SPLITS)}."
        )
    file_name, prefix = _SPLITS[split]
    file, image_dir = _find_files(Path(data_dir), file_name)
    content = read_json_object(file, ("images", "attribute_id_map"))
    label_names = _label_names(content["attribute_id_map"], file)
    if not isinstance(content["images"], list):
        raise DatasetError(f"{file}: 'images' must be a list.")
    examples = _Examples()
    first_index: dict[str, int] = {}
    listings = FolderListings(keep_missing)
    for index, image in enumerate(content["images"]):
        reason = _image_problem(image, index, first_index)
        if not reason and not image["file_name"].startswith(prefix):
            continue
        if not reason:
            path = os.path.join(image_dir, image["file_name"])
            if not listings.is_usable(path):
                reason = f"image file {path} is missing."
        if reason:
            report_bad_row(rejected, file, f"images[{index}]", reason)
            continue
        for position, target in enumerate(image["targets"]):
            reason = _target_problem(target, len(label_names))
            if reason:
                report_bad_row(rejected, file, f"images[{index}].targets[{position}]", reason)
                continue
            examples.paths.append(path)
            examples.boxes.append(target["bbox"])
            examples.labels.append([_LABEL_VALUES[value] for value in target["attribute"]])
    if not examples.paths:
        raise nothing_usable(f"{file} has no usable person box for split {split!r}.", rejected)
    warn_of_other_count(file, split, len(examples.paths), "boxes", _OFFICIAL_BOXES)
    return Split(
        image_paths=tuple(examples.paths),
        labels=np.array(examples.labels, np.float32),
        label_names=label_names,
        boxes=np.array(examples.boxes, np.float64),
        name=split,
        dataset="wider",
    )


def _find_files(data_dir: Path, file_name: str) -> tuple[Path, Path]:
    """The annotation file and the folder of images."""
    if not data_dir.is_dir():
        raise DatasetError(f"data_dir {str(data_dir)!r} is no folder. Expected WIDER Attribute.")
    image_dir = data_dir / "Image"
    if not image_dir.is_dir():
        raise DatasetError(f"There is no folder of images {image_dir}.")
    for folder in _ANNOTATION_FOLDERS:
        if (data_dir / folder / file_name).is_file():
            return data_dir / folder / file_name, image_dir
    places = ", ".join(str(data_dir / folder) for folder in _ANNOTATION_FOLDERS)
    raise DatasetError(f"There is no {file_name} in any of: {places}.")


def _label_names(attribute_id_map: Any, file: Path) -> tuple[str, ...]:
    try:
        names = {int(identifier): name for identifier, name in attribute_id_map.items()}
    except (AttributeError, ValueError) as error:
        raise DatasetError(
            f"{file}: attribute_id_map must map integer ids to names, got {attribute_id_map!r}."
        ) from error
    if not all(isinstance(name, str) and name.strip() for name in names.values()):
        raise DatasetError(
            f"{file}: attribute_id_map must map ids to names, got {attribute_id_map!r}."
        )
    if not names or len(names) != len(attribute_id_map) or len(set(names.values())) != len(names):
        raise DatasetError(
            f"{file}: attribute_id_map must have distinct ids and names, got {attribute_id_map!r}."
        )
    return tuple(names[identifier] for identifier in sorted(names))


def _image_problem(image: Any, index: int, first_index: dict[str, int]) -> str:
    """Why an entry of `images` cannot be used; empty when it can."""
    name = image.get("file_name") if isinstance(image, dict) else None
    if not isinstance(name, str) or not name or not isinstance(image.get("targets"), list):
        return "expected an object with `file_name` and a list of `targets`."
    first = first_index.setdefault(name, index)
    if first != index:
        return f"the same image twice: {name!r} is already images[{first}]."
    return ""


def _target_problem(target: Any, num_labels: int) -> str:
    """Why a person cannot be used; empty when it can."""
    if not isinstance(target, dict):
        return "expected an object with `attribute` and `bbox`."
    attribute, box = target.get("attribute"), target.get("bbox")
    if not isinstance(attribute, list) or len(attribute) != num_labels:
        return f"attribute must list {num_labels} values, got {attribute!r}."
    bad = [value for value in attribute if not is_number(value) or value not in _LABEL_VALUES]
    if bad:
        return f"attribute values must be 1, -1 or 0, got {bad[0]!r}."
    if not is_box(box):
        return f"bbox must be [x, y, width, height], got {box!r}."
    if box[2] <= 0 or box[3] <= 0:
        return f"bbox must have a positive area, got {box}."
    return ""
