"""SALICON: the official fixation JSON, and data sets written in its layout."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.fixations.salicon_release import is_release, read_release
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.json_file import identifier, read_json_tables
from vac_tf.datasets.split import DatasetError, RejectedRow, nothing_usable, report_bad_row

_LARGEST_SIDE = 10**6  # In pixels; no image is larger.


@dataclasses.dataclass(frozen=True)
class _Image:
    """An image of the file: its place there, its name, and its size in pixels."""

    place: str
    file_name: str
    height: int
    width: int


def read_salicon(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
) -> SaliencySplit:
    """Reads one split of SALICON (Jiang, Huang, Duan and Zhao, CVPR 2015) or in its layout.

    Either the fixation JSON: `fixations_SPLIT.json` in `data_dir` or `data_dir/annotations`, whose
    annotations hold one worker's `fixations` on one image as 1-based [row, column]; SPLIT is the
    name given, or the only one that begins with it (`train` finds `fixations_train2014.json`). Ids
    of images are numbers, numbers as text, or names.
    The images lie in `images/SPLIT`, `images`, `SPLIT`, `data_dir` or any folder of `images`.

    Or the 2017 release, see `vac_tf.datasets.fixations.salicon_release.read_release`.

    A worker without any fixation on an image is as one who did not look at it.

    Args:
        data_dir: folder of the data set.
        split: name of the split, such as "train" or "val".
        rejected: None to raise on the first bad row, or a list that takes the rows left out: a
            bad annotation is left out alone, an image that keeps no fixation as a whole.
        keep_missing: keep images whose file is missing, to be left out with the unreadable ones.

    Raises:
        DatasetError: when a file is missing or damaged, a fixation lies outside its image, an
            image has no fixations, or a worker is listed twice for an image.
    """
    if is_release(data_dir):
        return read_release(data_dir, split, rejected=rejected, keep_missing=keep_missing)
    file = _find_fixations(Path(data_dir), split)
    image_rows, annotations = read_json_tables(file, ("images", "annotations"))
    images = _images(image_rows, file, rejected)
    looks = _looks(annotations, images, file, rejected)
    folder = _image_folder(Path(data_dir), split, file, images)
    listings = FolderListings(keep_missing)
    kept = _with_fixations(images, looks, folder, listings, file, rejected)
    return SaliencySplit(
        image_paths=tuple(os.path.join(folder, images[i].file_name) for i in kept),
        image_ids=tuple(str(i) for i in kept),
        sizes=np.array([(images[i].height, images[i].width) for i in kept]),
        workers=tuple(tuple(looks[i]) for i in kept),
        fixations=tuple(tuple(looks[i].values()) for i in kept),
        name=split,
        dataset="salicon",
    )


def _find_fixations(data_dir: Path, split: str) -> Path:
    if not data_dir.is_dir():
        raise DatasetError(f"data_dir {str(data_dir)!r} is no folder. Expected fixations_*.json.")
    found = {}
    for folder in (data_dir / "annotations", data_dir):
        for path in sorted(folder.glob("fixations_*.json")):
            found[path.stem.removeprefix("fixations_")] = path
    candidates = [split] if split in found else [name for name in found if name.startswith(split)]
    if len(candidates) == 1:
        return found[candidates[0]]
    if candidates:
        raise DatasetError(
            f"Split {split!r} is ambiguous in {data_dir}: found {candidates}. Name one of them."
        )
    raise DatasetError(
        f"No fixations_{split}*.json in {data_dir} or {data_dir / 'annotations'}. Found splits:"
        f" {', '.join(found) or 'none'}."
    )


def _images(rows: list[dict], file: Path, rejected: list | None) -> dict[int | str, _Image]:
    """The usable images by id, in the order of the file."""
    images: dict[int | str, _Image] = {}
    for index, row in enumerate(rows):
        image_id, name = identifier(row.get("id")), row.get("file_name")
        size = (row.get("height"), row.get("width"))
        if image_id is None or not isinstance(name, str):
            reason = f"expected an `id` and a `file_name`, got {row}."
        elif not all(_is_integer(side) and 0 < side <= _LARGEST_SIDE for side in size):
            reason = f"height and width must be integers in 1..{_LARGEST_SIDE}, got {size}."
        elif image_id in images:
            reason = f"image id {image_id!r} occurs twice."
        else:
            images[image_id] = _Image(f"images[{index}]", name, *size)
            continue
        report_bad_row(rejected, file, f"images[{index}]", reason)
    if not images:
        raise nothing_usable(f"{file}: there is no usable image.", rejected)
    return images


def _looks(
    rows: list[dict], images: dict[int | str, _Image], file: Path, rejected: list | None
) -> dict[int | str, dict]:
    """For each image id: worker -> int64 [F, 2] of 0-based row and column."""
    looks: dict[int | str, dict] = {image_id: {} for image_id in images}
    seen = set()
    for index, row in enumerate(rows):
        image_id, worker = identifier(row.get("image_id")), row.get("worker_id")
        image = images.get(image_id)
        if image is None:
            reason = f"unknown image id {row.get('image_id')!r}."
        elif not isinstance(worker, (int, str)):
            reason = f"expected a `worker_id`, got {worker!r}."
        elif (image_id, worker) in seen:
            reason = (
                f"worker {worker!r} is listed twice for {image.file_name}; join the fixations into"
                " one annotation or remove one of them."
            )
        else:
            seen.add((image_id, worker))
            points, reason = _points(row.get("fixations"), image)
            if len(points) and not reason:
                looks[image_id][worker] = points
        if reason:
            report_bad_row(rejected, file, f"annotations[{index}]", reason)
    return looks


def _points(fixations: Any, image: _Image) -> tuple[np.ndarray, str]:
    """int64 [F, 2], 0-based, and what is wrong with them."""
    nothing = np.zeros((0, 2), np.int64)
    is_list = isinstance(fixations, list) and all(
        isinstance(p, list) and len(p) == 2 and _is_integer(p[0]) and _is_integer(p[1])
        for p in fixations
    )
    if not is_list:
        text = json.dumps(fixations)[:80]
        return nothing, f"fixations must be a list of integer pairs [row, column], got {text}."
    if not fixations:
        return nothing, ""
    points = np.array(fixations)  # Not yet of 64 bits: a damaged number may not fit into them.
    outside = (points < 1) | (points > (image.height, image.width))
    if outside.any():
        first = points[outside.any(axis=1)][0].tolist()
        return nothing, (
            f"fixation {first} lies outside {image.file_name}: [row, column] count from 1 to"
            f" [{image.height}, {image.width}]."
        )
    return points.astype(np.int64) - 1, ""


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _image_folder(data_dir: Path, split: str, file: Path, images: dict) -> Path:
    """The folder that holds the images."""
    full_name = file.stem.removeprefix("fixations_")
    names = dict.fromkeys((f"images/{full_name}", f"images/{split}", "images", full_name, split))
    folders = [data_dir / name for name in (*names, ".")]
    folders += sorted(path for path in (data_dir / "images").glob("*") if path.is_dir())
    listings = FolderListings()
    for folder in folders:
        if any(listings.has_file(str(folder / image.file_name)) for image in images.values()):
            return folder
    first = next(iter(images.values())).file_name
    raise DatasetError(f"{file}: no image such as {first} in {', '.join(map(str, folders[:-1]))}.")


def _with_fixations(images, looks, folder, listings, file, rejected) -> list:
    """Ids of the images that are usable and that somebody looked at, in the order of the file."""
    kept = []
    for image_id, image in images.items():
        path = str(folder / image.file_name)
        if not listings.is_usable(path):
            reason = f"image file {path} is missing."
        elif not looks[image_id]:
            reason = (
                f"there are no fixations on {image.file_name}; an image that nobody looked at"
                " cannot be learnt from or scored."
            )
        else:
            kept.append(image_id)
            continue
        report_bad_row(rejected, file, image.place, reason)
    if not kept:
        raise nothing_usable(f"{file}: no usable image among {len(images)}.", rejected)
    return kept
