"""A table beside a data set that says to which person (video, patient) each image belongs."""

import dataclasses
import os
from pathlib import Path

from vac_tf.datasets.packed_images import name_of
from vac_tf.datasets.readers.table_file import IMAGE_COLUMNS, column_names, table_rows
from vac_tf.datasets.readers.table_labels import cell_text
from vac_tf.datasets.split import DatasetError, Split


def with_groups(split: Split, file: str | os.PathLike, column: str) -> Split:
    """The split with the groups that a table gives its images.

    Args:
        split: of any data set.
        file: CSV, TSV or Parquet with a column of image paths (`image`, `path`, `file_name` or
            `filename`), absolute or relative to the file's folder (one in a shard is called
            `train-000.tar/cat.jpg`), and the column of groups. It may hold more images than the
            split.
        column: name of the column of groups.

    Raises:
        DatasetError: the file or the column is missing, a cell is empty, an image has two groups,
            or one of the split has none.
    """
    groups = read_groups(file, column)
    own = [groups.get(os.path.abspath(name_of(path))) for path in split.image_paths]
    absent = [path for path, group in zip(split.image_paths, own, strict=True) if group is None]
    if absent:
        raise DatasetError(
            f"{file} gives {len(absent)} of the {len(split)} examples of split {split.name!r} no"
            f" {column}, such as {absent[0]}. Add a row for each image; paths are relative to the"
            " file's folder."
        )
    return dataclasses.replace(split, groups=tuple(own))


def read_groups(file: str | os.PathLike, column: str) -> dict[str, str]:
    """Group of each image of a table, by its absolute path; arguments as of `with_groups`.

    Raises:
        DatasetError: the file or the column is missing, a cell is empty, an image has two groups.
    """
    file = Path(file)
    columns = column_names(file)
    image_column = next((name for name in IMAGE_COLUMNS if name in columns), None)
    if image_column is None or column not in columns:
        wanted = f"column {column!r}" if image_column else "column of image paths (`image`)"
        raise DatasetError(f"{file} has no {wanted}; found {columns}.")
    image_index, group_index = columns.index(image_column), columns.index(column)
    folder = os.path.dirname(os.path.abspath(file))
    groups: dict[str, str] = {}
    for row in table_rows(file):
        if len(row.values) != len(columns):
            raise DatasetError(
                f"{file}, line {row.line}: {len(row.values)} cells, but there are {len(columns)}"
                " columns."
            )
        name, group = cell_text(row.values[image_index]), cell_text(row.values[group_index])
        if not name or not group:
            empty = image_column if not name else column
            raise DatasetError(f"{file}, line {row.line}: the cell of {empty!r} is empty.")
        path = os.path.abspath(os.path.join(folder, name))
        if groups.setdefault(path, group) != group:
            raise DatasetError(
                f"{file}, line {row.line}: image {name!r} has {column} {group!r}, and"
                f" {groups[path]!r} further up; expected one."
            )
    return groups
