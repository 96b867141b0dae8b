"""JSON Lines: one object a line, an image and the names of its labels."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.json_file import is_box
from vac_tf.datasets.readers.text_lines import text_lines
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)
from vac_tf.runs.atomic_file import write_atomically

_SUFFIX = ".jsonl"
LABELS_FILE = "labels.txt"


def read_jsonl(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
    group_column: str = "",
) -> Split:
    """Reads `data_dir/SPLIT.jsonl`.

    Each line is an object: `image`, a path relative to `data_dir` (or absolute); `labels`, the
    names of those present; and, where wanted, `unknown`, the names of those not known (every other
    label is absent), and `box`, x, y, width and height in pixels of the part that is the example.
    `labels.txt` beside it names the labels in order, one a line; without it they are those of all
    `.jsonl` files of the folder, sorted.

    Args:
        data_dir: folder of the files.
        split: name of the file, without `.jsonl`.
        rejected: as `vac_tf.datasets.read_split`.
        keep_missing: keep rows whose image file is missing.
        group_column: key of each example's group (`Split.groups`), a text or a number; empty: they
            have none, nor where no line of the split has this key.

    Raises:
        DatasetError: no such file, no usable row, or a bad one; file and line are named.
    """
    path = os.path.join(data_dir, split + _SUFFIX)
    if not os.path.isfile(path):
        raise _unknown_split(data_dir, split)
    names = listed_names(data_dir) or _names_of_all(data_dir)
    index = {name: number for number, name in enumerate(names)}
    listings, paths, labels, boxes = FolderListings(keep_missing), [], [], []
    groups = []
    if group_column and not any(group_column in row for _, row in _rows(path, [])):
        group_column = ""
    for line, row in _rows(path, rejected):
        fault = _image_fault(row) or labels_fault(row, index) or group_fault(row, group_column)
        image = os.path.normpath(os.path.join(data_dir, row["image"])) if not fault else ""
        if not fault and not listings.is_usable(image):
            fault = f"image file {image} is missing."
        if fault:
            report_bad_row(rejected, path, line, fault)
            continue
        paths.append(image)
        labels.append(label_values(row, index))
        boxes.append(row.get("box"))
        groups.append(str(row.get(group_column)))
    if not paths:
        raise nothing_usable(f"{path} has no usable line.", rejected)
    return Split(
        tuple(paths),
        np.stack(labels),
        names,
        boxes_of(path, boxes),
        groups=tuple(groups) if group_column else None,
        name=split,
        dataset="jsonl",
    )


def write_jsonl(split: Split, path: str | os.PathLike) -> None:
    """Writes a split as `read_jsonl` reads it, with absolute paths; its labels go beside it.

    Args:
        split: without its objects.
        path: of the `.jsonl` file, in a folder that exists.
    """
    lines = []
    for number, image in enumerate(split.image_paths):
        values = split.labels[number]
        row: dict[str, Any] = {"image": os.path.abspath(image)}
        row["labels"] = [name for name, v in zip(split.label_names, values, strict=True) if v == 1]
        if np.isnan(values).any():
            pairs = zip(split.label_names, values, strict=True)
            row["unknown"] = [name for name, value in pairs if np.isnan(value)]
        if split.boxes is not None:
            row["box"] = split.boxes[number].tolist()
        lines.append(json.dumps(row, ensure_ascii=False))
    names = os.path.join(os.path.dirname(path), LABELS_FILE)
    write_atomically(names, "".join(f"{name}\n" for name in split.label_names).encode())
    contents = "".join(f"{line}\n" for line in lines)
    write_atomically(str(path), contents.encode(errors="surrogateescape"))


def _unknown_split(data_dir, split):
    if not os.path.isdir(data_dir):
        return DatasetError(f"There is no folder {data_dir}.")
    there = sorted(name.removesuffix(_SUFFIX) for name in _files(data_dir))
    return UnknownSplitError(
        f"Unknown split {split!r}: there is no {split}{_SUFFIX} in {data_dir}; there is"
        f" {', '.join(there) or 'no such file'}."
    )


def _files(data_dir):
    return [name for name in os.listdir(data_dir) if name.endswith(_SUFFIX)]


def listed_names(data_dir: str | os.PathLike) -> tuple[str, ...] | None:
    """The names in a folder's `labels.txt`, in its order; None without one.

    Raises:
        DatasetError: it names none, or one twice, or is no UTF-8 text.
    """
    path = os.path.join(data_dir, LABELS_FILE)
    if not os.path.isfile(path):
        return None
    names = [text for _, text in text_lines(path)]
    if len(set(names)) < max(len(names), 1):
        raise DatasetError(f"{path} names no label, or one twice; expected one a line.")
    return tuple(names)


def names_in(row: Mapping[str, Any]) -> set[str]:
    """The labels that an object names, present or unknown; of a damaged one what can be read."""
    lists = [row.get(key) for key in ("labels", "unknown")]
    return {name for each in lists if isinstance(each, list) for name in each if _is_name(name)}


def _names_of_all(data_dir):
    found: set[str] = set()
    for name in _files(data_dir):
        for _, row in _rows(os.path.join(data_dir, name), []):
            found |= names_in(row)
    if not found:
        raise DatasetError(f"No label in the {_SUFFIX} files of {data_dir}, nor {LABELS_FILE}.")
    return tuple(sorted(found))


def _rows(path, rejected) -> Iterator[tuple[int, dict]]:
    """The objects of a file with their lines; blank lines are passed over."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (json.JSONDecodeError, RecursionError) as error:
                report_bad_row(rejected, path, line, f"not valid JSON ({error}).", "not JSON")
                continue
            if isinstance(row, dict):
                yield line, row
            else:
                report_bad_row(rejected, path, line, f"expected an object, got {text[:40]!r}.")


def _image_fault(row):
    if not isinstance(row.get("image"), str) or not row["image"]:
        return "`image` must be the path of an image."
    return ""


def labels_fault(row: Mapping[str, Any], index: Mapping[str, int]) -> str:
    """What is wrong with `labels`, `unknown` and `box` of an object; empty: nothing.

    Args:
        row: the object.
        index: column of each label.
    """
    for key in ("labels", "unknown"):
        names = row.get(key, [] if key == "unknown" else None)
        if not isinstance(names, list) or not all(map(_is_name, names)):
            return f"`{key}` must be a list of names, got {json.dumps(names)[:60]}."
        strange = [name for name in names if name not in index]
        if strange:
            return f"{strange[0]!r} is no label of {LABELS_FILE}."
    if set(row["labels"]) & set(row.get("unknown", [])):
        return "a label cannot be both present and unknown."
    box = row.get("box")
    if box is not None and not (is_box(box) and box[2] > 0 and box[3] > 0):
        return f"`box` must be [x, y, width, height] in pixels, got {json.dumps(box)[:60]}."
    return ""


def label_values(row: Mapping[str, Any], index: Mapping[str, int]) -> np.ndarray:
    """float32 `[L]`: 1 for the labels of an object without fault, NaN for the unknown, else 0."""
    values = np.zeros(len(index), np.float32)
    values[[index[name] for name in row["labels"]]] = 1.0
    values[[index[name] for name in row.get("unknown", [])]] = np.nan
    return values


def group_fault(row: Mapping[str, Any], key: str) -> str:
    """What is wrong with the group of an object, under a key (""); empty: nothing."""
    group = row.get(key)
    if not key or _is_name(group) or (isinstance(group, int) and not isinstance(group, bool)):
        return ""
    return f"`{key}` (--group_column) must be a text or a number, got {json.dumps(group)[:60]}."


def _is_name(name):
    return isinstance(name, str) and bool(name.strip())


def boxes_of(what: str, boxes: Sequence[list[float] | None]) -> np.ndarray | None:
    """Boxes of all examples, float64 `[N, 4]`; None where none has one.

    Raises:
        DatasetError: some have one; names `what`.
    """
    if not any(boxes):
        return None
    if not all(boxes):
        raise DatasetError(f"{what}: either every example has a `box`, or none.")
    return np.array(boxes, np.float64)
