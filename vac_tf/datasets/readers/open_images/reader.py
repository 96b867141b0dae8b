"""Open Images: one example per image, labels that people verified, all others unknown."""

import array
import logging
import math
import os
from pathlib import Path

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.open_images.classes import read_classes
from vac_tf.datasets.readers.table_file import column_names, table_rows
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

_LOGGER = logging.getLogger(__name__)

_COLUMNS = ("ImageID", "LabelName", "Confidence")
_ALIASES = {"val": ("val", "validation"), "validation": ("validation", "val")}
_FOLDERS = ("", "{0}", "labels", "annotations", "{0}/labels")
_LABELS = "*annotations-human-imagelabels*.csv"
_IMAGE_FOLDERS = ("{0}", "{0}/data", "images/{0}", "images")
_MOST_BYTES = 2**34  # Of the labels; more are a slip: all classes for all training images.


def read_open_images(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
    label_columns: str = "",
) -> Split:
    """Reads the image-level labels of one split of Open Images (Kuznetsova et al., IJCV 2020).

    `*SPLIT-annotations-human-imagelabels*.csv` has the columns `ImageID`, `LabelName` and
    `Confidence`, a row a label: 1 says that the image shows the class, 0 that it does not. All
    other labels are unknown (NaN), as is one of which two rows disagree. Images are in the order in
    which the file first names them. Classes that the file of class descriptions lacks are left out.

    Args:
        data_dir: folder with the CSV files (or `labels`, `annotations`, `SPLIT`, `SPLIT/labels` in
            it), `class-descriptions.csv`, and the images as `SPLIT/ID.jpg`, `SPLIT/data/ID.jpg`,
            `images/SPLIT/ID.jpg` or `images/ID.jpg`.
        split: "train", "validation" (or "val") or "test".
        rejected: None to raise on the first bad row, or a list that takes the rows left out.
        keep_missing: keep images whose file is missing, to be left out with the unreadable ones.
        label_columns: names or ids of the classes that are labels, separated by commas (one with a
            comma in quotes); empty: all of the descriptions.

    Raises:
        DatasetError: when a file is missing or damaged, a row is bad, or the labels of all images
            do not fit into memory.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise DatasetError(f"data_dir {str(data_dir)!r} is no folder. Expected Open Images.")
    file = _find_labels(data_dir, split)
    classes = read_classes(data_dir, label_columns)
    verdicts = _Verdicts(file, {key: column for column, key in enumerate(classes)})
    verdicts.read(rejected)
    names = list(verdicts.images)
    if not names:
        raise nothing_usable(f"{file} says nothing of the {len(classes)} classes.", rejected)
    listings = FolderListings(keep_missing)
    folder = _find_images(data_dir, split, names, listings)
    paths = [os.path.join(folder, f"{name}.jpg") for name in names]
    rows = []
    for row, (path, line) in enumerate(zip(paths, verdicts.images.values(), strict=True)):
        if listings.is_usable(path):
            rows.append(row)
        else:
            report_bad_row(rejected, file, line[1], f"image file {path} is missing.")
    if not rows:
        raise nothing_usable(f"{file} has no usable image for split {split!r}.", rejected)
    return Split(
        image_paths=tuple(paths[row] for row in rows),
        labels=verdicts.labels()[rows],
        label_names=tuple(classes.values()),
        name=split,
        dataset="open_images",
    )


def _names_of(split: str) -> tuple[str, ...]:
    return _ALIASES.get(split, (split,))


def _find_labels(data_dir: Path, split: str) -> Path:
    found = set()
    for name in _names_of(split):
        for folder in (data_dir / pattern.format(name) for pattern in _FOLDERS):
            found |= {path for path in folder.glob(_LABELS) if _split_of(path) == name}
        # FiftyOne's copy.
        found |= set((data_dir / name / "labels").glob("classifications.csv"))
    if len(found) == 1:
        return found.pop()
    if found:
        paths = ", ".join(sorted(str(path) for path in found))
        raise DatasetError(f"Several files have labels of {split!r}: {paths}. Keep one of them.")
    there = sorted(path.name for path in data_dir.rglob(_LABELS))
    raise UnknownSplitError(
        f"Unknown split {split!r} in {data_dir}: there is no"
        f" {split}-annotations-human-imagelabels.csv. Found: {', '.join(there) or 'none'}."
    )


def _split_of(path: Path) -> str:
    """`train` of `oidv6-train-annotations-human-imagelabels.csv`."""
    return path.name.split("-annotations-")[0].rpartition("-")[2]


def _find_images(data_dir: Path, split: str, names: list[str], listings: FolderListings) -> Path:
    """The folder with the images: the first candidate that holds any of the first hundred."""
    folders = [data_dir / each.format(name) for each in _IMAGE_FOLDERS for name in _names_of(split)]
    folders = list(dict.fromkeys(folders))
    for folder in folders:
        if any(listings.has_file(os.path.join(folder, f"{name}.jpg")) for name in names[:100]):
            return folder
    there = [folder for folder in folders if folder.is_dir()]
    if there:
        return there[0]  # Rows that have no file are reported one by one.
    places = ", ".join(str(folder) for folder in folders)
    raise DatasetError(
        f"There is no folder of images of split {split!r}: expected one of {places}."
    )


class _Verdicts:
    """What a file of labels says.

    Attributes:
        images: row in the result, and line in the file, of each image of a wanted class.
    """

    def __init__(self, file: Path, columns: dict[str, int]):
        self.images: dict[str, tuple[int, int]] = {}
        self._file, self._columns = file, columns
        self._rows, self._labels = array.array("q"), array.array("q")
        self._values = array.array("b")

    def read(self, rejected: list[RejectedRow] | None) -> None:
        names = column_names(self._file)
        missing = [name for name in _COLUMNS if name not in names]
        if missing:
            raise DatasetError(f"{self._file} has no columns {missing}; found {names}.")
        indices = [names.index(name) for name in _COLUMNS]
        others = 0
        for row in table_rows(self._file):
            if len(row.values) != len(names):
                reason = f"{len(row.values)} cells, but there are {len(names)} columns."
                report_bad_row(rejected, self._file, row.line, reason)
                continue
            image, label, confidence = (row.values[index].strip() for index in indices)
            column = self._columns.get(label)
            if column is None:
                others += 1
                continue
            value = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}.get(confidence)
            if not image or os.sep in image or value is None:
                report_bad_row(rejected, self._file, row.line, _fault(image, confidence))
                continue
            number, _ = self.images.setdefault(image, (len(self.images), row.line))
            self._rows.append(number)
            self._labels.append(column)
            self._values.append(value)
        if others:
            _LOGGER.info("%s: %d rows are of other classes and left out.", self._file, others)

    def labels(self) -> np.ndarray:
        """float32 `[N, L]`: 0, 1 or NaN."""
        shape = len(self.images), len(self._columns)
        if 4 * shape[0] * shape[1] > _MOST_BYTES:
            raise DatasetError(
                f"{self._file}: {shape[0]} images with {shape[1]} labels take"
                f" {4 * shape[0] * shape[1] / 2**30:.0f} GiB. Name fewer classes with"
                " --label_columns, or cut the files of classes and labels."
            )
        labels = np.full(shape, math.nan, np.float32)
        rows, columns = np.asarray(self._rows, np.int64), np.asarray(self._labels, np.int64)
        values = np.asarray(self._values, np.float32)
        labels[rows, columns] = values
        differs = labels[rows, columns] != values
        if differs.any():
            labels[rows[differs], columns[differs]] = math.nan
            _LOGGER.warning(
                "%s: %d labels have rows that disagree; they are unknown.",
                self._file,
                len(set(zip(rows[differs].tolist(), columns[differs].tolist(), strict=True))),
            )
        return labels


def _fault(image: str, confidence: str) -> str:
    if not image or os.sep in image:
        return f"ImageID must be an id, got {image!r}."
    return (
        f"Confidence must be 0 or 1, got {confidence!r}: of labels made by machines nothing is"
        " known for sure."
    )
