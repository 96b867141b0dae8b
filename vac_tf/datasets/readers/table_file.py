"""CSV, TSV and Parquet files as rows with the place they came from."""

import csv
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vac_tf.datasets.split import DatasetError

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
# What the column of image paths may be called.
IMAGE_COLUMNS = ("image", "path", "file_name", "filename")
_DELIMITERS = (",", ";", "\t")


@dataclasses.dataclass(frozen=True)
class TableRow:
    """One row: `line` is the line where it starts (CSV, from 1) or its number (Parquet, from 1).

    `values` has as many entries as the row has cells, which in a ragged CSV row differs from the
    number of columns.
    """

    line: int
    values: list[Any]


def column_names(path: str | os.PathLike) -> list[str]:
    """Names of the columns of a text or Parquet file.

    Raises:
        DatasetError: when the file is missing, empty or damaged, or a name occurs twice.
    """
    path = Path(path)
    names = _parquet_columns(path) if path.suffix == ".parquet" else next(_csv_records(path))[1]
    names = [str(name).strip() for name in names]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DatasetError(f"{path}: the columns {repeated} occur more than once.")
    if "" in names:
        raise DatasetError(f"{path}: column {names.index('') + 1} has no name.")
    return names


def table_rows(path: str | os.PathLike) -> Iterator[TableRow]:
    """The rows of a text file (cells are strings) or a Parquet file (cells are Python values).

    Raises:
        DatasetError: when the file is missing, empty or damaged.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
        return
    records = _csv_records(path)
    next(records)  # the header
    for line, values in records:
        yield TableRow(line, values)


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line where it starts and cells of each record, the header first; blank lines are skipped."""
    line, empty = 1, True
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            usual = "\t" if path.suffix == ".tsv" else ","
            delimiter = _delimiter(next(filter(str.strip, file), ""), usual)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for values in reader:
                if any(value.strip() for value in values):
                    empty = False
                    yield line, values
                line = reader.line_num + 1
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {path}.") from error
    except csv.Error as error:
        raise DatasetError(f"{path}, line {line}: not valid CSV ({error}).") from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}, after line {line}: not UTF-8 text (byte {error.object[error.start]:#04x})."
            " Save the file as UTF-8."
        ) from error
    if empty:
        raise DatasetError(f"{path} is empty. Expected a line of column names and rows.")


def _delimiter(header: str, usual: str) -> str:
    """What separates the cells: the usual, unless only another one shows a column of images."""
    for delimiter in (usual, *_DELIMITERS):
        names = next(csv.reader([header], delimiter=delimiter), [])
        if len(names) > 1 and any(name.strip() in IMAGE_COLUMNS for name in names):
            return delimiter
    return usual


def _parquet_columns(path: Path) -> list[str]:
    # Imported here: a CSV needs no pyarrow.
    import pyarrow
    from pyarrow import parquet

    try:
        return list(parquet.read_schema(path).names)
    # A damaged file is an OSError too; its names of columns may be no UTF-8.
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a readable Parquet file ({error}).") from error


def _parquet_rows(path: Path) -> Iterator[TableRow]:
    import pyarrow
    from pyarrow import parquet

    line = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                columns = [column.to_pylist() for column in batch.columns]
                for values in zip(*columns, strict=True):
                    line += 1
                    yield TableRow(line, list(values))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}, after row {line}: not readable ({error}).") from error
