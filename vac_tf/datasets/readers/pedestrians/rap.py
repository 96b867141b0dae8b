"""RAP, versions 1 and 2: pedestrian images with attributes, from the official MATLAB file."""

import csv
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.matlab_file import read_matlab_file
from vac_tf.datasets.readers.official_counts import warn_of_other_count
from vac_tf.datasets.readers.pedestrians.matlab_values import (
    cells,
    fields,
    matrix,
    strings,
    whole_numbers,
)
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

_FOLDERS = ("", "RAP_annotation")
_IMAGE_FOLDERS = ("RAP_dataset", "")
# What papers on version 1 call trainval is all that is not tested.
_PARTS = {"train": ("train",), "val": ("val",), "trainval": ("train", "val"), "test": ("test",)}
_OFFICIAL_COUNTS = (
    {"train": 33_268, "trainval": 33_268, "test": 8_317},
    {"train": 50_957, "val": 16_986, "trainval": 67_943, "test": 16_985},
)
_LABEL_VALUES = {0: 0.0, 1: 1.0, 2: np.nan}  # 2: uncertain.


@dataclasses.dataclass(frozen=True)
class _Release:
    """What a file holds: N images and A attributes, of which some are evaluated."""

    version: int
    images: list[str]
    attributes: list[str]
    evaluated: list[int]
    data: np.ndarray
    partitions: list[Any]


def read_rap(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
    label_columns: str = "",
    partition: int = 1,
) -> Split:
    """Reads one split of RAP (Li et al., 2016; version 2: TIP 2019) in its official layout.

    `RAP_annotation.mat` lies in `data_dir` or `data_dir/RAP_annotation`, the images in
    `data_dir/RAP_dataset`. Values 0, 1 and 2 become 0, 1 and NaN (uncertain). Labels are the
    attributes that papers evaluate, in the order of the file: of version 1 the first 51 of 92,
    under their short names (`attribute_exp`), of version 2 its `selected_attribute`, 54.

    Args:
        data_dir: folder of the dataset.
        split: "train" or "test"; of version 2 also "val" and "trainval". Version 1 has no "val":
            its "trainval" is "train".
        rejected: None to raise on the first bad row, or a list that takes the rows left out.
        keep_missing: keep rows whose image is missing, to be left out with the unreadable ones.
        label_columns: names of the attributes that are labels, of all in the file, separated by
            commas; empty: those that papers evaluate.
        partition: which of the file's random partitions, from 1.

    Raises:
        DatasetError: when a file is missing or damaged, or a row is bad.
    """
    if split not in _PARTS:
        raise UnknownSplitError(f"Unknown split {split!r} of RAP. Known: {', '.join(_PARTS)}.")
    data_dir = Path(data_dir)
    file = _find_file(data_dir)
    release = _read_release(file)
    columns = _columns(release, label_columns, file)
    indices = _indices(release, split, partition, file)
    folder = _find_images(data_dir)
    listings = FolderListings(keep_missing)
    paths, labels = [], []
    seen: set[str] = set()
    for index in indices:
        path = os.path.join(folder, release.images[index])
        values = release.data[index, columns].tolist()
        bad = [value for value in values if value not in _LABEL_VALUES]
        reason = ""
        if path in seen:
            reason = f"partition {partition} has the same image twice: {path}."
        elif bad:
            reason = f"labels must be 0, 1 or 2 (uncertain), got {bad[0]}."
        elif not listings.is_usable(path):
            reason = f"image file {path} is missing."
        if reason:
            report_bad_row(rejected, file, f"image {index + 1}", reason)
            continue
        seen.add(path)
        paths.append(path)
        labels.append([_LABEL_VALUES[value] for value in values])
    if not paths:
        raise nothing_usable(f"{file} has no usable image for split {split!r}.", rejected)
    official = _OFFICIAL_COUNTS[release.version - 1]
    warn_of_other_count(file, split, len(paths), "images", official)
    return Split(
        image_paths=tuple(paths),
        labels=np.array(labels, np.float32),
        label_names=tuple(release.attributes[column] for column in columns),
        name=split,
        dataset="rap",
    )


def _find_file(data_dir: Path) -> Path:
    for folder in _FOLDERS:
        if (data_dir / folder / "RAP_annotation.mat").is_file():
            return data_dir / folder / "RAP_annotation.mat"
    raise DatasetError(
        f"There is no RAP_annotation.mat in {data_dir} or {data_dir / _FOLDERS[1]}. Expected RAP."
    )


def _find_images(data_dir: Path) -> Path:
    return next(data_dir / name for name in _IMAGE_FOLDERS if (data_dir / name).is_dir())


def _read_release(file: Path) -> _Release:
    content = read_matlab_file(file)
    if "RAP_annotation" not in content:
        found = sorted(name for name in content if not name.startswith("__"))
        raise DatasetError(f"{file} has no variable 'RAP_annotation'. Found: {found}.")
    found = fields(content["RAP_annotation"], "RAP_annotation", file)

    def field(*names: str) -> Any:
        for name in names:
            if name in found:
                return found[name]
        raise DatasetError(f"{file} has no field {names[0]!r}. Found: {sorted(found)}.")

    if "selected_attribute" in found:
        images = strings(field("name"), "name", file)
        attributes = strings(field("attribute"), "attribute", file)
        selected = whole_numbers(found["selected_attribute"], "selected_attribute", file)
        evaluated = [number - 1 for number in selected.tolist()]
        data = matrix(field("data"), "data", len(images), len(attributes), file)
        version, partitions = 2, cells(field("partition_attribute"), "partition_attribute", file)
    else:
        images = strings(field("imagesname"), "imagesname", file)
        attributes = strings(field("attribute_eng"), "attribute_eng", file)
        short = strings(field("attribute_exp"), "attribute_exp", file)
        attributes[: len(short)], evaluated = short, list(range(len(short)))
        data = matrix(field("label"), "label", len(images), len(attributes), file)
        # Its description calls the field "partion".
        version, partitions = 1, cells(field("partition", "partion"), "partition", file)
    if not evaluated or min(evaluated) < 0 or max(evaluated) >= data.shape[1]:
        raise DatasetError(f"{file}: the evaluated attributes are not among the {data.shape[1]}.")
    return _Release(version, images, attributes, evaluated, data, partitions)


def _columns(release: _Release, wanted: str, file: Path) -> list[int]:
    listed = [cell.strip() for cell in next(csv.reader([wanted], skipinitialspace=True), [])]
    listed = [cell for cell in listed if cell]
    absent = [name for name in listed if name not in release.attributes]
    if absent:
        raise DatasetError(
            f"label_columns names {absent}, but {file} has no such attribute; found"
            f" {release.attributes}."
        )
    columns = [release.attributes.index(name) for name in listed] or release.evaluated
    names = [release.attributes[column] for column in columns]
    repeated = sorted({name for name in names if names.count(name) > 1 or not name.strip()})
    if repeated:
        raise DatasetError(f"{file}: labels must have names of their own, got {repeated}.")
    return columns


def _indices(release: _Release, split: str, partition: int, file: Path) -> list[int]:
    """Numbers of the images of a split, from 0."""
    if not 1 <= partition <= len(release.partitions):
        raise DatasetError(
            f"{file} has {len(release.partitions)} partitions, got partition {partition}"
            " (--rap_partition)."
        )
    name = f"partition {partition}"
    parts = fields(release.partitions[partition - 1], name, file)
    by_kind = {
        kind: value for key, value in parts.items() for kind in _PARTS if key.startswith(kind)
    }
    wanted = [kind for kind in _PARTS[split] if kind in by_kind]
    if split == "val" and not wanted:
        raise UnknownSplitError(
            f"Unknown split 'val': {name} of {file} has {', '.join(parts)}, as all of RAP 1."
        )
    if not wanted:
        raise DatasetError(f"{file}: {name} has no {split!r}, only {', '.join(parts)}.")
    numbers = np.concatenate([whole_numbers(by_kind[kind], name, file) for kind in wanted]) - 1
    if not len(numbers) or numbers.min() < 0 or numbers.max() >= len(release.images):
        raise DatasetError(
            f"{file}: {name} must hold numbers of images in 1..{len(release.images)}."
        )
    return numbers.tolist()
