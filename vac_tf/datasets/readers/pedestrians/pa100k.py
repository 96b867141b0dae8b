"""PA-100K: pedestrian images with 26 attributes, from the official MATLAB file."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.matlab_file import read_matlab_file
from vac_tf.datasets.readers.official_counts import warn_of_other_count
from vac_tf.datasets.readers.pedestrians.matlab_values import strings
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

_SPLITS = {
    "train": ("train",),
    "val": ("val",),
    "trainval": ("train", "val"),
    "test": ("test",),
}
_ANNOTATION_FOLDERS = ("", "annotation")
_IMAGE_FOLDERS = (
    "data",
    "release_data/release_data",
    "data/release_data/release_data",
    "release_data",
    "",
)
_OFFICIAL_COUNTS = {"train": 80_000, "val": 10_000, "test": 10_000}


def read_pa100k(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
) -> Split:
    """Reads one split of PA-100K (Liu et al., ICCV 2017) in its official layout.

    `annotation.mat` lies in `data_dir` or `data_dir/annotation` and holds `attributes`,
    `{train,val,test}_images_name` and `{train,val,test}_label`; the images lie in `data`,
    `release_data/release_data`, `data/release_data/release_data`, `release_data` or `data_dir`.
    Labels are in the order of the file.

    Args:
        data_dir: folder of the dataset.
        split: "train", "val", "trainval" (train, then val) or "test".
        rejected: None to raise on the first bad row, or a list that takes the rows left out.
        keep_missing: keep rows whose image is missing, to be left out with the unreadable ones.

    Raises:
        DatasetError: when a file is missing or damaged, or a row is bad.
    """
    if split not in _SPLITS:
        raise UnknownSplitError(f"Unknown split {split!r} of PA-100K. Known: {', '.join(_SPLITS)}.")
    data_dir = Path(data_dir)
    file = _find_annotation(data_dir)
    content = read_matlab_file(file)
    label_names = tuple(_strings(content, "attributes", file))
    paths: list[str] = []
    labels: list[np.ndarray] = []
    first_place: dict[str, str] = {}
    listings = FolderListings(keep_missing)
    for part in _SPLITS[split]:
        names = _strings(content, f"{part}_images_name", file)
        part_labels = _labels(content, part, (len(names), len(label_names)), file)
        warn_of_other_count(file, part, len(names), "images", _OFFICIAL_COUNTS)
        folder = _find_images(data_dir, names, listings)
        for row, name in enumerate(names):
            place = f"{part}_images_name({row + 1})"
            path = os.path.join(folder, name)
            reason = _row_problem(path, part_labels[row], place, first_place, listings)
            if reason:
                report_bad_row(rejected, file, place, reason)
                continue
            paths.append(path)
            labels.append(part_labels[row])
    if not paths:
        raise nothing_usable(f"{file} has no usable image for split {split!r}.", rejected)
    return Split(
        image_paths=tuple(paths),
        labels=np.array(labels, np.float32),
        label_names=label_names,
        name=split,
        dataset="pa100k",
    )


def _find_annotation(data_dir: Path) -> Path:
    for folder in _ANNOTATION_FOLDERS:
        if (data_dir / folder / "annotation.mat").is_file():
            return data_dir / folder / "annotation.mat"
    raise DatasetError(
        f"There is no annotation.mat in {data_dir} or {data_dir / 'annotation'}. Expected PA-100K."
    )


def _strings(content: dict[str, Any], key: str, file: Path) -> list[str]:
    """A MATLAB cell array of strings as a list."""
    if key not in content:
        found = sorted(name for name in content if not name.startswith("__"))
        raise DatasetError(f"{file} has no variable {key!r}. Found: {found}.")
    return strings(content[key], key, file)


def _labels(content: dict[str, Any], part: str, shape: tuple[int, int], file: Path) -> np.ndarray:
    key = f"{part}_label"
    labels = content.get(key)
    if (
        not isinstance(labels, np.ndarray)
        or labels.shape != shape
        or labels.dtype.kind not in "biuf"
    ):
        received = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else labels
        raise DatasetError(
            f"{file}: {key!r} must be a numeric matrix of shape {shape} (images, attributes),"
            f" got {received}."
        )
    return labels.astype(np.float32)


def _find_images(data_dir: Path, names: list[str], listings: FolderListings) -> Path:
    """The folder with the images: the first candidate that holds any of the first few."""
    folders = [data_dir / folder for folder in _IMAGE_FOLDERS]
    for folder in folders:
        # More than one name, so that one missing file is reported as just that.
        if any(listings.has_file(os.path.join(folder, name)) for name in names[:100]):
            return folder
    places = ", ".join(str(folder) for folder in folders)
    raise DatasetError(f"Found none of the images {names[0]!r}, ... in any of: {places}.")


def _row_problem(
    path: str,
    labels: np.ndarray,
    place: str,
    first_place: dict[str, str],
    listings: FolderListings,
) -> str:
    """Why a row cannot be used; empty when it can."""
    first = first_place.setdefault(path, place)
    if first != place:
        return f"the same image twice: {path} is already {first}."
    bad = labels[(labels != 0) & (labels != 1)]
    if len(bad):
        return f"labels must be 0 or 1, got {bad[0]}."
    if not listings.is_usable(path):
        return f"image file {path} is missing."
    return ""
