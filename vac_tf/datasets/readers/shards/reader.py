"""WebDataset: images and their labels in tar files, read in place."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.packed_images import packed_path
from vac_tf.datasets.readers.jsonl import (
    LABELS_FILE,
    boxes_of,
    group_fault,
    label_values,
    labels_fault,
    listed_names,
    names_in,
)
from vac_tf.datasets.readers.shards.sample_labels import BadSampleError, labels_of
from vac_tf.datasets.readers.shards.tar_samples import IMAGE_SUFFIXES, Sample, read_samples
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def read_webdataset(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    group_column: str = "",
) -> Split:
    """Reads one split of a WebDataset: `SPLIT.tar`, `SPLIT-*.tar`, `SPLIT_*.tar` or `SPLIT/*.tar`.

    Members of one tar whose names are alike up to the first dot are a sample: an image (`.jpg`,
    `.jpeg`, `.png`, `.webp`, `.bmp`, `.gif`) and its labels. These are `labels` in `.json`, a list
    of names, perhaps with `unknown` and `box` as in JSON Lines; or `.labels.txt`, a name a line; or
    `.cls`, the number or name of the one class. `labels.txt` in `data_dir` names the labels in
    order, one a line; without it they are those of all shards of the folder, sorted.

    Only headers and labels are read; images are later read from where they lie in the shards, in
    any order. They are in the order of the shards' names and of their members.

    Args:
        data_dir: folder of the shards.
        split: name of the split.
        rejected: None to raise on the first bad sample or shard, or a list that takes them; of a
            damaged shard the samples before the damage stay.
        group_column: key of each example's group in its `.json`; empty: they have none, nor where
            no sample of the split has this key.

    Raises:
        DatasetError: no such shard, a damaged one, or a bad sample; shard and sample are named.
    """
    data_dir = Path(data_dir)
    shards = _shards(data_dir, split)
    class_names = listed_names(data_dir)
    names = class_names or _names_of_all(data_dir)
    index = {name: number for number, name in enumerate(names)}
    paths, labels, boxes, groups = [], [], [], []
    if group_column and not _have_key(shards, group_column, class_names):
        group_column = ""
    for shard in shards:
        for sample in read_samples(shard, rejected):
            given, fault = _given(sample, class_names)
            fault = fault or labels_fault(given, index) or group_fault(given, group_column)
            if fault:
                report_bad_row(rejected, shard, f"sample {sample.key}", fault)
                continue
            name, offset, length = sample.image
            paths.append(packed_path(shard, offset, length, name))
            labels.append(label_values(given, index))
            boxes.append(given.get("box"))
            groups.append(str(given.get(group_column)))
    if not paths:
        raise nothing_usable(f"{shards[0]} and its like hold no usable sample.", rejected)
    return Split(
        image_paths=tuple(paths),
        labels=np.stack(labels),
        label_names=names,
        boxes=boxes_of(f"split {split!r} in {data_dir}", boxes),
        groups=tuple(groups) if group_column else None,
        name=split,
        dataset="webdataset",
    )


def _have_key(shards, key, class_names) -> bool:
    samples = (sample for shard in shards for sample in read_samples(shard, []))
    return any(key in _given(sample, class_names)[0] for sample in samples)


def _given(sample: Sample, class_names) -> tuple[dict[str, Any], str]:
    """The labels of a sample with an image, and what is wrong with it."""
    try:
        given = labels_of(sample, class_names)
    except BadSampleError as error:
        return {}, str(error)
    if sample.image is None:
        return {}, f"it has no image: expected {sample.key} with .{', .'.join(IMAGE_SUFFIXES)}."
    return given, ""


def _shards(data_dir: Path, split: str) -> list[Path]:
    if not data_dir.is_dir():
        raise DatasetError(f"There is no folder {data_dir}.")
    found = [path for path in _all_shards(data_dir) if _is_of(path, data_dir, split)]
    if found:
        return found
    every = [path.name for path in sorted(data_dir.rglob("*")) if path.is_file()]
    compressed = [name for name in every if name.endswith(_COMPRESSED)]
    if compressed:
        raise DatasetError(
            f"{data_dir} holds compressed shards, such as {compressed[0]}, whose images have no"
            " place of their own. Decompress them: JPEG gains nothing."
        )
    shards = [name for name in every if name.endswith(".tar")]
    raise UnknownSplitError(
        f"Unknown split {split!r} in {data_dir}: there is no {split}.tar, {split}-*.tar,"
        f" {split}_*.tar or {split}/*.tar. Found: {', '.join(shards[:10]) or 'no .tar file'}."
    )


def _all_shards(data_dir: Path) -> list[Path]:
    found = (path for pattern in ("*.tar", "*/*.tar") for path in data_dir.glob(pattern))
    return sorted(path for path in found if path.is_file())


def _is_of(path: Path, data_dir: Path, split: str) -> bool:
    if path.parent != data_dir:
        return path.parent.name == split
    return path.stem == split or path.stem.startswith((f"{split}-", f"{split}_"))


def _names_of_all(data_dir: Path) -> tuple[str, ...]:
    """The labels of all shards, sorted; numbers by their size."""
    found: set[str] = set()
    for shard in _all_shards(data_dir):
        for sample in read_samples(shard, []):
            found |= names_in(_given(sample, None)[0])
    if not found:
        raise DatasetError(f"No label in the shards of {data_dir}, nor {LABELS_FILE}.")
    if all(name.isascii() and name.isdecimal() for name in found):
        return tuple(sorted(found, key=lambda name: (len(name), name)))
    return tuple(sorted(found))
