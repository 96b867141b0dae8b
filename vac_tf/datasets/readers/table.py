"""Datasets given as CSV or Parquet tables: one row per image (or per box), labels in columns."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.table_file import TABLE_SUFFIXES, TableRow, column_names, table_rows
from vac_tf.datasets.split import DatasetError, RejectedRow, Split, report_bad_row

_IMAGE_COLUMNS = ("image", "path", "file_name", "filename")
_BOX_COLUMNS = ("x", "y", "w", "h")
_LABEL_VALUES = {"": math.nan, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}


class BadRowError(Exception):
    """Why a row cannot be used; becomes a DatasetError or a RejectedRow."""


def read_table(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    label_separator: str = "|",
) -> Split:
    """Reads one split of a dataset given as tables.

    The table is `data_dir/SPLIT.csv` or `.parquet`, or one table with a `split` column: `data_dir`
    itself when it is a file, else the only table in the folder. Columns:

    * `image` (or `path`, `file_name`, `filename`, the first that exists): path of the image,
      absolute or relative to the table's folder;
    * `split`, optional: only rows of the wanted split are used;
    * `x`, `y`, `w`, `h`, optional, all four: the box in pixels that the labels describe;
    * either `labels`: names joined by `label_separator` (in Parquet also a list of names), or one
      column per label holding 0, 1 or nothing (unknown).

    With a `labels` column the label names are those of all splits, sorted.

    Args:
        data_dir: folder of the tables, or one table.
        split: name of the split.
        rejected: None to raise on the first bad row, or a list that takes the rows left out.
        label_separator: what separates names in the `labels` column.

    Raises:
        DatasetError: when a table is missing or damaged, or a row is bad.
    """
    if not label_separator:
        raise DatasetError("label_separator must not be empty.")
    file, sibling_files = _find_table(Path(data_dir), split)
    columns = column_names(file)
    image_column = _image_column(file, columns)
    box_columns = _box_columns(file, columns)
    if "labels" in columns:
        label_names, parse_labels = _joined_labels(file, columns, sibling_files, label_separator)
    else:
        label_names, parse_labels = _label_columns(file, columns, image_column)
    images = _ImageColumn(file, columns.index(image_column))
    split_index = columns.index("split") if "split" in columns else None
    paths, labels, boxes, found = [], [], [], set()
    for row in table_rows(file):
        try:
            _check_width(row, columns)
            if split_index is not None:
                found.add(_text(row.values[split_index]))
                if _text(row.values[split_index]) != split:
                    continue
            box = _box(row, box_columns)
            row_labels = parse_labels(row)
            path = images.path(row, box)
        except BadRowError as error:
            report_bad_row(rejected, file, row.line, str(error))
            continue
        paths.append(path)
        labels.append(row_labels)
        boxes.append(box)
    if split_index is not None and split not in found:
        raise DatasetError(f"Unknown split {split!r} in {file}. Found: {sorted(found)}.")
    if not paths:
        raise DatasetError(f"{file} has no usable row for split {split!r}.")
    return Split(
        image_paths=tuple(paths),
        labels=np.array(labels, np.float32),
        label_names=label_names,
        boxes=np.array(boxes, np.float64) if box_columns else None,
        name=split,
        dataset="table",
    )


def _find_table(data_dir: Path, split: str) -> tuple[Path, list[Path]]:
    """The table of a split, and all tables that belong to the dataset."""
    if data_dir.is_file():
        if data_dir.suffix not in TABLE_SUFFIXES:
            raise DatasetError(f"{data_dir} is neither a .csv nor a .parquet file.")
        if "split" not in column_names(data_dir):
            raise DatasetError(
                f"{data_dir} has no `split` column, so it does not say what is {split!r}. Add the"
                f" column, or give the folder and name the file {split}{data_dir.suffix}."
            )
        return data_dir, [data_dir]
    if not data_dir.is_dir():
        raise DatasetError(f"data_dir {str(data_dir)!r} does not exist. Expected tables in it.")
    tables = sorted(p for p in data_dir.iterdir() if p.suffix in TABLE_SUFFIXES and p.is_file())
    if not tables:
        raise DatasetError(f"There is no .csv or .parquet file in {data_dir}.")
    named = [path for path in tables if path.stem == split]
    if len(named) == 1:
        return named[0], tables
    if named:
        raise DatasetError(f"Both {named[0]} and {named[1]} exist. Keep one of them.")
    if len(tables) == 1 and "split" in column_names(tables[0]):
        return tables[0], tables
    raise DatasetError(
        f"Unknown split {split!r} in {data_dir}: there is no {split}.csv or {split}.parquet, nor"
        f" one table with a `split` column. Found: {', '.join(path.name for path in tables)}."
    )


def _image_column(file: Path, columns: list[str]) -> str:
    for name in _IMAGE_COLUMNS:
        if name in columns:
            return name
    raise DatasetError(
        f"{file} has no column of image paths. Expected one of {', '.join(_IMAGE_COLUMNS)}"
        f" (cells separated by commas); found {columns}."
    )


def _box_columns(file: Path, columns: list[str]) -> list[int]:
    """Indices of the columns x, y, w, h; empty when the table has no boxes."""
    present = [name for name in _BOX_COLUMNS if name in columns]
    if present and len(present) < len(_BOX_COLUMNS):
        raise DatasetError(
            f"{file} has only the box columns {present}. Expected all of x, y, w, h or none."
        )
    return [columns.index(name) for name in present]


def _label_columns(
    file: Path, columns: list[str], image_column: str
) -> tuple[tuple[str, ...], Callable[[TableRow], list[float]]]:
    """Label names, and how to read them, where every label has its column."""
    reserved = {image_column, "split", *_BOX_COLUMNS}
    indices = [index for index, name in enumerate(columns) if name not in reserved]
    if not indices:
        raise DatasetError(f"{file} has no label: expected 0/1 columns or a `labels` column.")

    def parse(row: TableRow) -> list[float]:
        return [_label_value(row.values[index], columns[index]) for index in indices]

    return tuple(columns[index] for index in indices), parse


def _joined_labels(
    file: Path, columns: list[str], tables: list[Path], separator: str
) -> tuple[tuple[str, ...], Callable[[TableRow], list[float]]]:
    """Label names, and how to read them, where a `labels` column holds the names."""
    extra = set(columns) - {*_IMAGE_COLUMNS, "split", *_BOX_COLUMNS, "labels"}
    if extra:
        raise DatasetError(
            f"{file} has both a `labels` column and other columns that could be labels:"
            f" {sorted(extra)}. Remove one or the other."
        )
    names: set[str] = set()
    for table in tables:
        table_columns = column_names(table)
        if "labels" not in table_columns or not set(_IMAGE_COLUMNS) & set(table_columns):
            continue  # another table of the folder, such as scores
        index = table_columns.index("labels")
        for row in table_rows(table):
            if len(row.values) == len(table_columns):
                names.update(_joined_names(row.values[index], separator))
    if not names:
        raise DatasetError(f"{file}: the `labels` column is empty in every row.")
    label_names = tuple(sorted(names))
    labels_index = columns.index("labels")

    def parse(row: TableRow) -> list[float]:
        present = _joined_names(row.values[labels_index], separator)
        return [float(name in present) for name in label_names]

    return label_names, parse


def _joined_names(value: Any, separator: str) -> set[str]:
    if isinstance(value, list):
        parts = [str(part) for part in value]
    else:
        parts = _text(value).split(separator)
    return {part.strip() for part in parts if part.strip()}


def _label_value(value: Any, column: str) -> float:
    label = _LABEL_VALUES.get(_text(value))
    if label is None:
        raise BadRowError(
            f"column {column!r}: {value!r} is none of 0, 1 or empty (unknown). Every column"
            " other than the image, split, x, y, w and h is a label."
        )
    return label


def _text(value: Any) -> str:
    """A cell as stripped text; Parquet's missing values and booleans as a CSV has them."""
    if isinstance(value, str):
        return value.strip()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _check_width(row: TableRow, columns: list[str]) -> None:
    if len(row.values) != len(columns):
        raise BadRowError(f"{len(row.values)} cells, but there are {len(columns)} columns.")


def _box(row: TableRow, box_columns: list[int]) -> tuple[float, ...] | None:
    if not box_columns:
        return None
    try:
        box = tuple(float(_text(row.values[index])) for index in box_columns)
    except ValueError:
        box = (math.nan,) * 4
    if not all(math.isfinite(value) for value in box):
        received = [row.values[index] for index in box_columns]
        raise BadRowError(f"the box x, y, w, h must be four numbers, got {received}.")
    if box[2] <= 0 or box[3] <= 0:
        raise BadRowError(f"the box x, y, w, h must have a positive area, got {list(box)}.")
    return box


class _ImageColumn:
    """Turns image cells into paths; refuses missing files and repeated examples."""

    def __init__(self, file: Path, index: int):
        self._folder = os.path.dirname(os.path.abspath(file))
        self._index = index
        self._listings = FolderListings()
        self._first_line: dict[tuple, int] = {}

    def path(self, row: TableRow, box: tuple[float, ...] | None) -> str:
        name = _text(row.values[self._index])
        if not name:
            raise BadRowError("the image path is empty.")
        path = os.path.normpath(os.path.join(self._folder, name))
        first = self._first_line.setdefault((path, box), row.line)
        if first != row.line:
            raise BadRowError(f"the same image twice: {name!r} is already in line {first}.")
        if not self._listings.has_file(path):
            raise BadRowError(f"image file {path} is missing.")
        return path
