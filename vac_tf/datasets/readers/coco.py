"""MS-COCO instances annotations: one example per image, one label per category."""

import os
from pathlib import Path

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.json_file import identifier, is_box, read_json_tables
from vac_tf.datasets.readers.official_counts import warn_of_other_count
from vac_tf.datasets.split import (
    DatasetError,
    ObjectAnnotation,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

_OFFICIAL_COUNTS = {
    "train2014": 82_783,
    "val2014": 40_504,
    "train2017": 118_287,
    "val2017": 5_000,
}


def read_coco(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    with_objects: bool = True,
    keep_missing: bool = False,
) -> Split:
    """Reads one split of a dataset in the COCO layout (Lin et al., ECCV 2014).

    The annotations are `instances_SPLIT.json` in `data_dir/annotations` or in `data_dir`, the
    images lie in `data_dir/SPLIT` or `data_dir/images/SPLIT`, where SPLIT is the name given, or
    that name followed by 2017 or 2014. Labels are the categories in the order of their ids, which
    may be numbers, numbers as text, or names. All images are kept, also those without any object.
    A crowd counts as presence.

    Args:
        data_dir: folder of the dataset.
        split: "train", "val", or an exact name such as "train2014".
        rejected: None to raise on the first bad row, or a list that takes the rows left out. An
            image whose annotation is bad is left out too: its labels are not fully known.
        with_objects: whether to keep boxes and masks (about 1.5 GB for train2017).
        keep_missing: keep rows whose image is missing, to be left out with the unreadable ones.

    Raises:
        DatasetError: when a file is missing or damaged, or a row is bad.
    """
    annotation_file, full_name = _find_annotations(Path(data_dir), split)
    images, annotations, categories = read_json_tables(
        annotation_file, ("images", "annotations", "categories")
    )
    label_names, category_index = _categories(categories, annotation_file)
    image_dir = _find_image_dir(Path(data_dir), full_name)
    listings = FolderListings(keep_missing)
    paths, bad_images = _images(images, image_dir, listings, annotation_file, rejected)
    objects = _objects(annotations, paths, bad_images, category_index, annotation_file, rejected)
    kept = [image_id for image_id in paths if image_id not in bad_images]
    if not kept:
        message = f"{annotation_file}: no usable image among {len(images)}."
        raise nothing_usable(message, rejected)
    warn_of_other_count(annotation_file, full_name, len(kept), "images", _OFFICIAL_COUNTS)
    labels = np.zeros((len(kept), len(label_names)), np.float32)
    for row, image_id in enumerate(kept):
        labels[row, [annotation.category for annotation in objects[image_id]]] = 1
    return Split(
        image_paths=tuple(paths[image_id] for image_id in kept),
        labels=labels,
        label_names=label_names,
        objects=tuple(tuple(objects[image_id]) for image_id in kept) if with_objects else None,
        name=split,
        dataset="coco",
    )


def _find_annotations(data_dir: Path, split: str) -> tuple[Path, str]:
    """The annotation file of a split and the split's full name (such as "train2017")."""
    if not data_dir.is_dir():
        raise DatasetError(f"data_dir {str(data_dir)!r} is no folder. Expected a COCO dataset.")
    found = {}
    for folder in (data_dir, data_dir / "annotations"):
        for path in sorted(folder.glob("instances_*.json")):
            found[path.stem.removeprefix("instances_")] = path
    if not found:
        raise DatasetError(
            f"No instances_*.json in {data_dir / 'annotations'} or {data_dir}. Expected the COCO"
            " layout: annotations/instances_train2017.json, train2017/*.jpg, ..."
        )
    if split in found:
        return found[split], split
    candidates = [name for name in (f"{split}2017", f"{split}2014") if name in found]
    if len(candidates) == 1:
        return found[candidates[0]], candidates[0]
    if candidates:
        raise DatasetError(
            f"Split {split!r} is ambiguous in {data_dir}: found {candidates}. Name one of them."
        )
    names = ", ".join(sorted(found))
    raise UnknownSplitError(f"Unknown split {split!r} in {data_dir}. Found: {names}.")


def _find_image_dir(data_dir: Path, full_name: str) -> Path:
    candidates = (data_dir / full_name, data_dir / "images" / full_name)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise DatasetError(
        f"No folder of images for split {full_name!r}: expected {candidates[0]} or {candidates[1]}."
    )


def _categories(rows: list[dict], file: Path) -> tuple[tuple[str, ...], dict[int | str, int]]:
    """Label names by category id, and the label index of each id."""
    names: dict[int | str, str] = {}
    for index, row in enumerate(rows):
        place = f"{file}, categories[{index}]"
        category_id, name = identifier(row.get("id")), row.get("name")
        if category_id is None or not isinstance(name, str) or not name.strip():
            raise DatasetError(f"{place}: expected an `id` and a `name`, got {row}.")
        if category_id in names or name in names.values():
            raise DatasetError(f"{place}: category id {category_id} or name {name!r} occurs twice.")
        names[category_id] = name
    if not names:
        raise DatasetError(f"{file}: there are no categories, so there is nothing to learn.")
    # Numbers come first, in their order.
    ids = sorted(names, key=lambda category_id: (isinstance(category_id, str), category_id))
    return (
        tuple(names[category_id] for category_id in ids),
        {category_id: index for index, category_id in enumerate(ids)},
    )


def _images(
    rows: list[dict],
    image_dir: Path,
    listings: FolderListings,
    file: Path,
    rejected: list[RejectedRow] | None,
) -> tuple[dict[int | str, str], set[int | str]]:
    """Path of each image id in the order of the file, and the ids to leave out."""
    paths: dict[int | str, str] = {}
    bad: set[int | str] = set()
    first_with_name: dict[str, int] = {}
    for index, row in enumerate(rows):
        image_id, name = identifier(row.get("id")), row.get("file_name")
        if image_id is None or not isinstance(name, str) or not name:
            reason = f"expected an `id` and a `file_name`, got {row}."
        elif image_id in paths:
            reason = f"the same image twice: id {image_id} is already {paths[image_id]}."
        elif name in first_with_name:
            reason = f"the same image twice: {name!r} is already images[{first_with_name[name]}]."
            paths[image_id] = name
            bad.add(image_id)
        else:
            first_with_name[name] = index
            path = os.path.join(image_dir, name)
            paths[image_id] = path
            if listings.is_usable(path):
                continue
            reason = f"image file {path} is missing."
            bad.add(image_id)
        report_bad_row(rejected, file, f"images[{index}]", reason)
    return paths, bad


def _objects(
    rows: list[dict],
    paths: dict[int | str, str],
    bad_images: set[int | str],
    category_index: dict[int | str, int],
    file: Path,
    rejected: list[RejectedRow] | None,
) -> dict[int | str, list[ObjectAnnotation]]:
    """The objects of every image id; ids of images with a bad annotation join `bad_images`."""
    objects: dict[int | str, list[ObjectAnnotation]] = {name: [] for name in paths}
    for index, row in enumerate(rows):
        image_id = identifier(row.get("image_id"))
        category_id = identifier(row.get("category_id"))
        box = row.get("bbox")
        if image_id not in objects:
            image_id = None
            reason = f"unknown image id {row.get('image_id')!r}."
        elif category_id not in category_index:
            reason = f"unknown category id {row.get('category_id')!r} on image {paths[image_id]}."
        # Boxes of zero width exist in the official files; their image does show the category.
        elif not is_box(box):
            reason = f"bbox must be [x, y, width, height], got {box!r} on image {paths[image_id]}."
        else:
            objects[image_id].append(
                ObjectAnnotation(
                    category_index[category_id],
                    tuple(box),
                    row.get("segmentation"),
                    bool(row.get("iscrowd", 0)),
                    row.get("area", box[2] * box[3]),
                )
            )
            continue
        report_bad_row(rejected, file, f"annotations[{index}]", reason)
        if image_id in objects:
            bad_images.add(image_id)
    return objects
