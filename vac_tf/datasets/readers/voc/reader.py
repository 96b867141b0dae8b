"""PASCAL VOC: one example per image, one label per class of objects."""

import os
from pathlib import Path

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.official_counts import warn_of_other_count
from vac_tf.datasets.readers.text_lines import text_lines
from vac_tf.datasets.readers.voc.class_files import (
    LISTS,
    class_files,
    labels_of_class_files,
    split_names,
)
from vac_tf.datasets.readers.voc.objects import Annotations
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_OFFICIAL_COUNTS = {
    "VOC2007": {"train": 2_501, "val": 2_510, "trainval": 5_011, "test": 4_952},
    "VOC2012": {"train": 5_717, "val": 5_823, "trainval": 11_540, "test": 10_991},
}


def read_voc(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    with_objects: bool = True,
    keep_missing: bool = False,
) -> Split:
    """Reads one split of a dataset in the layout of PASCAL VOC (Everingham et al., IJCV 2010).

    `ImageSets/Main/SPLIT.txt` lists the images, which lie in `JPEGImages`. A class is present (1)
    where an object of it is that is not marked as difficult, unknown (NaN) where all are, and
    absent (0) elsewhere, as `ImageSets/Main/CLASS_SPLIT.txt` says. Where there are no such files,
    the objects in `Annotations/IMAGE.xml` decide, with the classes of all annotations. Labels are
    sorted by name, which is the official order.

    Args:
        data_dir: the folder with `ImageSets`, the `VOCdevkit` above it, or the folder above that;
            where these hold several years, name one.
        split: "train", "val", "trainval" or "test": a list of `ImageSets/Main`.
        rejected: None to raise on the first bad row, or a list that takes the rows left out. An
            image whose annotation is bad is left out too: its labels are not fully known.
        with_objects: whether to keep the boxes, where `Annotations` is there. A difficult object
            is marked as a crowd: what leaves the one out leaves out the other.
        keep_missing: keep rows whose image is missing, to be left out with the unreadable ones.

    Raises:
        DatasetError: when a file is missing or damaged, or a row is bad.
    """
    folder = _find_folder(Path(data_dir))
    paths = _images(folder, split, FolderListings(keep_missing), rejected)
    names = list(paths)
    files = class_files(folder / LISTS, split)
    annotations = Annotations(folder, rejected)
    if files:
        label_names = tuple(files)
        labels, bad = labels_of_class_files(files, names, rejected)
    else:
        label_names = annotations.class_names()
        labels, bad = annotations.labels(names, label_names)
    objects = None
    if with_objects and (folder / "Annotations").is_dir():
        objects, without = annotations.objects(names, label_names)
        bad |= without
    rows = [row for row, name in enumerate(names) if paths[name] and name not in bad]
    if not rows:
        raise nothing_usable(f"{folder} has no usable image for split {split!r}.", rejected)
    official = _OFFICIAL_COUNTS.get(folder.name, {})
    warn_of_other_count(folder, split, len(rows), "images", official)
    return Split(
        image_paths=tuple(paths[names[row]] for row in rows),
        labels=labels[rows],
        label_names=label_names,
        objects=None if objects is None else tuple(objects[row] for row in rows),
        name=split,
        dataset="voc",
    )


def _find_folder(data_dir: Path) -> Path:
    """The folder of one year."""
    if not data_dir.is_dir():
        raise DatasetError(f"data_dir {str(data_dir)!r} is no folder. Expected PASCAL VOC.")
    if (data_dir / LISTS).is_dir():
        return data_dir
    below = (folder for pattern in ("*", "VOCdevkit/*") for folder in data_dir.glob(pattern))
    found = sorted(folder for folder in below if (folder / LISTS).is_dir())
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(folder) for folder in found)
        raise DatasetError(f"There are several sets in {data_dir}: {names}. Give one as data_dir.")
    raise DatasetError(
        f"There is no {LISTS} in {data_dir}. Expected the layout of PASCAL VOC:"
        " VOC2007/ImageSets/Main/trainval.txt, VOC2007/JPEGImages/*.jpg, VOC2007/Annotations/*.xml."
    )


def _images(
    folder: Path, split: str, listings: FolderListings, rejected: list[RejectedRow] | None
) -> dict[str, str]:
    """Path of each image of a split by its name; empty for one that is missing."""
    known = split_names(folder / LISTS)
    file = folder / LISTS / f"{split}.txt"
    if split not in known:
        raise UnknownSplitError(f"Unknown split {split!r} in {file.parent}. Found: {known}.")
    if not (folder / "JPEGImages").is_dir():
        raise DatasetError(f"There is no folder of images {folder / 'JPEGImages'}.")
    paths: dict[str, str] = {}
    for line, name in text_lines(file):
        if name in paths:
            report_bad_row(rejected, file, line, f"the same image twice: {name!r}.")
            continue
        places = [os.path.join(folder, "JPEGImages", name + suffix) for suffix in _SUFFIXES]
        paths[name] = next(filter(listings.has_file, places), places[0])
        if not listings.is_usable(paths[name]):
            report_bad_row(rejected, file, line, f"image file {places[0]} is missing.")
            paths[name] = ""
    return paths
