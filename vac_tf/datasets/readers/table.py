"""Datasets given as CSV, TSV or Parquet tables: one row per image (or box), labels in columns."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.repeated_rows import RepeatedRows
from vac_tf.datasets.readers.table_file import (
    IMAGE_COLUMNS,
    TABLE_SUFFIXES,
    TableRow,
    column_names,
    table_rows,
)
from vac_tf.datasets.readers.table_labels import (
    BOX_COLUMNS,
    BadRowError,
    LabelSettings,
    cell_text,
    label_reader,
)
from vac_tf.datasets.readers.table_weights import WeightColumn
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)
from vac_tf.datasets.split_checks import binarized

_KINDS = ", ".join(TABLE_SUFFIXES)


def read_table(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    label_separator: str = "|",
    label_columns: str = "",
    ignore_columns: str = "",
    repeated_images: str = "first",
    keep_missing: bool = False,
    group_column: str = "",
    soft_labels: bool = False,
    weight_column: str = "",
) -> Split:
    """Reads one split of a dataset given as tables.

    The table is `data_dir/SPLIT.csv`, `.tsv` or `.parquet`, or one table with a `split` column:
    `data_dir` itself when it is a file, else the only table in the folder, or the only one of
    images and splits. Columns:

    * `image` (or `path`, `file_name`, `filename`, the first that exists): path of the image,
      absolute or relative to the table's folder;
    * `split`, optional: only rows of the wanted split are used;
    * `x`, `y`, `w`, `h`, optional, all four: the box in pixels that the labels describe;
    * either `labels`: names joined by `label_separator` (in Parquet also a list of names), or one
      column per label holding 0, 1, True, False or nothing (unknown).

    With a `labels` column the label names are those of all splits, sorted. The cells of a CSV are
    separated by commas (of a TSV by tabs) or by what else of comma, semicolon and tab the first
    line shows.

    Args:
        data_dir: folder of the tables, or one table.
        split: name of the split.
        rejected: None to raise on the first bad row, or a list that takes the rows left out.
        label_separator: what separates names in the `labels` column.
        label_columns: the columns that are labels, separated by commas (a name with a comma in
            quotes); empty: all but those above.
        ignore_columns: columns to leave out, separated by commas.
        repeated_images: what becomes of a row with the image (and box) of an earlier one: "error",
            "first" (it is left out and counted) or "all" (it is one more example).
        keep_missing: keep rows whose image is missing, to be left out with the unreadable ones.
        group_column: the column of the examples' groups (`Split.groups`), which is no label; empty:
            they have none. A split that lacks a column which another one has is read without.
        soft_labels: label columns may hold any number in 0..1 (`Split.soft_labels`).
        weight_column: the column of what rows count for in training (`Split.weights`), which is no
            label; empty: all count alike. Of a split that lacks it, too.

    Raises:
        DatasetError: when a table is missing or damaged, or a row is bad.
    """
    settings = LabelSettings(
        label_separator, label_columns, ignore_columns, group_column, weight_column, soft_labels
    )
    file, tables = _find_table(Path(data_dir), split)
    names = column_names(file)
    groups, weights = _GroupColumn(names, group_column), WeightColumn(names, weight_column)
    columns = settings.without_ignored(file, names, tables)
    image_column = _image_column(file, columns)
    box_columns = _box_columns(file, columns)
    label_names, parse_labels = label_reader(file, columns, image_column, tables, settings)
    images = _ImageColumn(file, columns.index(image_column), keep_missing)
    repeated = RepeatedRows(file, repeated_images)

    def read_row(row: TableRow) -> tuple | None:
        box = _box(row, box_columns)
        row_labels = parse_labels(row)
        name, path = images.read(row)
        is_kept = repeated.keeps((path, box), name, row.line, row_labels)
        return (path, row_labels, box, groups.read(row), weights.read(row)) if is_kept else None

    rows = _usable_rows(file, columns, split, read_row, rejected)
    repeated.report(rejected)
    paths, labels, boxes, row_groups, row_weights = zip(*rows, strict=True)
    labels, row_weights = np.array(labels, np.float32), np.array(row_weights, np.float32)
    return Split(
        image_paths=paths,
        labels=binarized(labels) if soft_labels else labels,
        label_names=label_names,
        boxes=np.array(boxes, np.float64) if box_columns else None,
        groups=row_groups if groups.is_there else None,
        soft_labels=labels if soft_labels else None,
        weights=row_weights if weights.is_there else None,
        name=split,
        dataset="table",
    )


def _usable_rows(
    file: Path,
    columns: list[str],
    split: str,
    read_row: Callable[[TableRow], tuple | None],
    rejected: list[RejectedRow] | None,
) -> list[tuple]:
    """What `read_row` makes of the rows of a split, without those that it leaves out (None)."""
    split_index = columns.index("split") if "split" in columns else None
    rows, found = [], set()
    for row in table_rows(file):
        try:
            _check_width(row, columns)
            if split_index is not None:
                found.add(cell_text(row.values[split_index]))
                if cell_text(row.values[split_index]) != split:
                    continue
            example = read_row(row)
        except BadRowError as error:
            report_bad_row(rejected, file, row.line, str(error), error.kind)
            continue
        if example is not None:
            rows.append(example)
    if split_index is not None and split not in found:
        raise UnknownSplitError(f"Unknown split {split!r} in {file}. Found: {sorted(found)}.")
    if not rows:
        raise nothing_usable(f"{file} has no usable row for split {split!r}.", rejected)
    return rows


def _find_table(data_dir: Path, split: str) -> tuple[Path, list[Path]]:
    """The table of a split, and all tables that belong to the dataset."""
    if data_dir.is_file():
        if data_dir.suffix not in TABLE_SUFFIXES:
            raise DatasetError(f"{data_dir} is no table. Expected a file of {_KINDS}.")
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
        raise DatasetError(f"There is no table in {data_dir}. Expected a file of {_KINDS}.")
    named = [path for path in tables if path.stem == split]
    if len(named) == 1:
        return named[0], tables
    if named:
        raise DatasetError(f"Both {named[0]} and {named[1]} exist. Keep one of them.")
    if len(tables) == 1 and "split" in column_names(tables[0]):
        return tables[0], tables
    # Beside it may lie a table of groups (--group_file), say.
    of_splits = [path for path in tables if _has_images_and_splits(path)]
    if len(of_splits) == 1:
        return of_splits[0], of_splits
    raise UnknownSplitError(
        f"Unknown split {split!r} in {data_dir}: there is no table {split} ({_KINDS}), nor one"
        f" table with a `split` column. Found: {', '.join(path.name for path in tables)}."
    )


def _has_images_and_splits(table: Path) -> bool:
    try:
        columns = column_names(table)
    except DatasetError:  # Of a file that is perhaps none of the dataset.
        return False
    return "split" in columns and any(name in columns for name in IMAGE_COLUMNS)


def _image_column(file: Path, columns: list[str]) -> str:
    for name in IMAGE_COLUMNS:
        if name in columns:
            return name
    raise DatasetError(
        f"{file} has no column of image paths. Expected one of {', '.join(IMAGE_COLUMNS)}"
        f" (cells separated by commas, semicolons or tabs); found {columns}."
    )


def _box_columns(file: Path, columns: list[str]) -> list[int]:
    """Indices of the columns x, y, w, h; empty when the table has no boxes."""
    present = [name for name in BOX_COLUMNS if name in columns]
    if present and len(present) < len(BOX_COLUMNS):
        raise DatasetError(
            f"{file} has only the box columns {present}. Expected all of x, y, w, h or none."
        )
    return [columns.index(name) for name in present]


def _check_width(row: TableRow, columns: list[str]) -> None:
    if len(row.values) != len(columns):
        reason = f"{len(row.values)} cells, but there are {len(columns)} columns."
        raise BadRowError(reason, "number of cells")


def _box(row: TableRow, box_columns: list[int]) -> tuple[float, ...] | None:
    if not box_columns:
        return None
    try:
        box = tuple(float(cell_text(row.values[index])) for index in box_columns)
    except ValueError:
        box = (math.nan,) * 4
    if not all(math.isfinite(value) for value in box):
        received = [row.values[index] for index in box_columns]
        raise BadRowError(f"the box x, y, w, h must be four numbers, got {received}.", "box")
    if box[2] <= 0 or box[3] <= 0:
        reason = f"the box x, y, w, h must have a positive area, got {list(box)}."
        raise BadRowError(reason, "empty box")
    return box


class _ImageColumn:
    """Turns image cells into paths; refuses missing files."""

    def __init__(self, file: Path, index: int, keep_missing: bool):
        self._folder = os.path.dirname(os.path.abspath(file))
        self._index = index
        self._listings = FolderListings(keep_missing)

    def read(self, row: TableRow) -> tuple[str, str]:
        """The image as the row names it, and its path."""
        name = cell_text(row.values[self._index])
        if not name:
            raise BadRowError("the image path is empty.", "no image path")
        path = os.path.normpath(os.path.join(self._folder, name))
        if not self._listings.is_usable(path):
            raise BadRowError(f"image file {path} is missing.", "missing image")
        return name, path


class _GroupColumn:
    """Reads the cells of the column of groups, where the table has it."""

    def __init__(self, columns: list[str], name: str):
        self._name = name
        self._index = columns.index(name) if name in columns else None
        self.is_there = self._index is not None

    def read(self, row: TableRow) -> str | None:
        """The group of a row; None without the column."""
        if self._index is None:
            return None
        group = cell_text(row.values[self._index])
        if not group:
            raise BadRowError(f"column {self._name!r} (--group_column) is empty.", "no group")
        return group
