"""Data sets that Hugging Face's `datasets` saved to disk; images are read in place."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.packed_images import packed_path
from vac_tf.datasets.readers.hugging_face.label_features import (
    BadValueError,
    find_label_columns,
    label_names,
)
from vac_tf.datasets.readers.hugging_face.saved_dataset import SavedSplit, find_split
from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    nothing_usable,
    report_bad_row,
)


def read_hugging_face(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
    label_columns: str = "",
    ignore_columns: str = "",
    group_column: str = "",
) -> Split:
    """Reads one split of a data set that `datasets` saved (`save_to_disk`), without that package.

    Images are those of the one column of the feature Image (or of `image`, of several): bytes,
    later read from where they lie in the Arrow files, or paths, relative to the split's folder.
    Labels are all columns that are a list of ClassLabel, a ClassLabel or booleans; nulls, and -1 of
    a ClassLabel, are unknown (NaN). They are called as their classes, of several columns of
    classes `column:class`; booleans as their columns.

    Args:
        data_dir: folder that `DatasetDict.save_to_disk` wrote, or `Dataset.save_to_disk`, which
            has one split, "train" unless it says another.
        split: name of the split.
        rejected: None to raise on the first bad row, or a list that takes the rows left out.
        keep_missing: keep rows whose image file is missing.
        label_columns: the columns that are labels, separated by commas, columns of 0 and 1 too;
            empty: all of these kinds.
        ignore_columns: columns that are none.
        group_column: the column of each example's group, text or whole numbers; empty: they have
            none, nor where the split has no such column.

    Raises:
        DatasetError: when a file is missing or damaged, or a row is bad.
    """
    saved = find_split(Path(data_dir), split)
    image_column = _image_column(saved)
    if group_column not in saved.features:
        group_column = ""
    where = str(saved.folder)
    others = (image_column, group_column)
    columns = find_label_columns(saved.features, label_columns, ignore_columns, others, where)
    names = label_names(columns, where)
    listings = FolderListings(keep_missing)
    paths, labels, groups = [], [], []
    wanted = [column.name for column in columns] + ([group_column] if group_column else [])
    for file in saved.files:
        for number, (image, values) in enumerate(_rows(file, image_column, wanted), 1):
            try:
                row_labels = [v for column in columns for v in column.values(values[column.name])]
                path = _image_path(file, number, image, listings)
                group = _group(values.get(group_column), group_column)
            except BadValueError as error:
                report_bad_row(rejected, file, f"row {number}", str(error))
                continue
            paths.append(path)
            labels.append(row_labels)
            groups.append(group)
    if not paths:
        raise nothing_usable(f"{saved.folder} has no usable row.", rejected)
    return Split(
        image_paths=tuple(paths),
        labels=np.array(labels, np.float32),
        label_names=names,
        groups=tuple(groups) if group_column else None,
        name=split,
        dataset="hf",
    )


def _image_column(saved: SavedSplit) -> str:
    found = [
        name
        for name, feature in saved.features.items()
        if isinstance(feature, dict) and feature.get("_type") == "Image"
    ]
    if len(found) == 1 or "image" in found:
        return "image" if "image" in found else found[0]
    raise DatasetError(
        f"{saved.folder} must have one column of images, or one called 'image'; of its columns"
        f" {list(saved.features)} the feature Image have: {found or 'none'}."
    )


def _rows(file: Path, image: str, columns: list[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Place or path of the image of every row, and its values in some columns."""
    import pyarrow

    try:
        with pyarrow.memory_map(os.fspath(file)) as mapped:
            whole = mapped.read_buffer()
            mapped.seek(0)
            for batch in pyarrow.ipc.open_stream(mapped):
                batch.validate(full=True)
                missing = [name for name in (image, *columns) if name not in batch.schema.names]
                if missing:
                    raise DatasetError(f"{file} has no columns {missing}.")
                values = {name: batch.column(name).to_pylist() for name in columns}
                for row, place in enumerate(_images(file, batch.column(image), whole)):
                    yield place, {name: values[name][row] for name in columns}
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {file}.") from error
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: not a readable Arrow file ({error}).") from error


def _images(file: Path, column, whole) -> Iterator[tuple[int, int, str] | str | None]:
    """First byte, number of bytes and name of each image; or its path; or None."""
    import pyarrow

    kinds = pyarrow.types
    parts = {}
    if kinds.is_struct(column.type):
        names = [column.type.field(number).name for number in range(column.type.num_fields)]
        parts = dict(zip(names, column.flatten(), strict=True))
    data, names = parts.get("bytes"), parts.get("path")
    is_binary = data is not None and (
        kinds.is_binary(data.type) or kinds.is_large_binary(data.type)
    )
    if not is_binary or names is None:
        raise DatasetError(f"{file}: images must be bytes and path, got {column.type}.")
    ends = _ends(file, data, whole)
    are_there = data.is_valid().to_pylist()
    for row, name in enumerate(names.to_pylist()):
        if are_there[row]:
            first, end = ends[row : row + 2].tolist()
            yield first, end - first, os.path.basename(str(name or ""))
        else:
            yield name or None


def _ends(file: Path, data, whole) -> np.ndarray:
    """Where each value of an array of bytes begins in a file, and where the last one ends."""
    import pyarrow

    _, offsets, values = data.buffers()
    if values is None or not values.size:  # No image has a byte.
        return np.zeros(len(data) + 1, np.int64)
    dtype = np.int64 if pyarrow.types.is_large_binary(data.type) else np.int32
    first = values.address - whole.address
    if not 0 <= first <= whole.size - values.size:
        raise DatasetError(f"{file} is compressed, so that images have no place of their own.")
    # A damaged file may say that more bytes than these belong to the offsets.
    count = data.offset + len(data) + 1
    return first + np.frombuffer(offsets, dtype, count)[data.offset :].astype(np.int64)


def _image_path(file: Path, number: int, image, listings: FolderListings) -> str:
    if image is None:
        raise BadValueError("it has no image: neither bytes nor path.")
    if isinstance(image, str):
        path = os.path.join(file.parent, image)
        if not listings.is_usable(path):
            raise BadValueError(f"image file {path} is missing.")
        return path
    offset, length, name = image
    return packed_path(file, offset, length, name or f"row_{number}")


def _group(value: Any, column: str) -> str:
    is_group = isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
    if column and not is_group:
        raise BadValueError(
            f"column {column!r} (--group_column) must be text or a number: {value!r}."
        )
    return str(value)
