"""Which columns of a table are labels, and what their cells say."""

import csv
import dataclasses
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vac_tf.datasets.readers.table_file import IMAGE_COLUMNS, TableRow, column_names, table_rows
from vac_tf.datasets.split import DatasetError

BOX_COLUMNS = ("x", "y", "w", "h")
_JOINED = "labels"
_LABEL_VALUES = {"": math.nan, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
_LABEL_VALUES |= {"true": 1.0, "false": 0.0}


class BadRowError(Exception):
    """Why a row cannot be used; becomes a DatasetError or a RejectedRow of that `kind`."""

    def __init__(self, reason: str, kind: str):
        super().__init__(reason)
        self.kind = kind


@dataclasses.dataclass(frozen=True)
class LabelSettings:
    """What a user says about the labels of a table.

    Attributes:
        separator: what separates names in the `labels` column.
        label_columns: the columns that are labels, separated by commas; empty: all that are left.
        ignore_columns: columns to leave out, separated by commas.
        group_column, weight_column: more columns that are no labels, or empty.
        are_soft: label columns may hold any number in 0..1.
    """

    separator: str = "|"
    label_columns: str = ""
    ignore_columns: str = ""
    group_column: str = ""
    weight_column: str = ""
    are_soft: bool = False

    def __post_init__(self):
        if not self.separator:
            raise DatasetError("label_separator must not be empty.")
        if self.label_columns and self.ignore_columns:
            raise DatasetError("Give either label_columns or ignore_columns, not both.")

    def without_ignored(self, file: Path, columns: list[str], tables: list[Path]) -> list[str]:
        """The names of the columns, empty for those to leave out.

        Raises:
            DatasetError: when no table of the data set has a column to leave out.
        """
        ignored = _names(self.ignore_columns)
        self._check_exist("ignore_columns", ignored, file, columns, tables)
        for flag in ("group_column", "weight_column"):
            if name := getattr(self, flag):
                self._check_exist(flag, [name], file, columns, tables)
                ignored.append(name)
        return ["" if name in ignored else name for name in columns]

    def _check_exist(self, flag, names, file, columns, tables):
        absent = set(names) - set(columns)
        if absent:
            # Splits may have other columns: captions of the training images alone, say.
            found = {name for table in tables for name in column_names(table)} | set(columns)
            if absent - found:
                raise DatasetError(
                    f"{flag} names {sorted(absent - found)}, but {file} has no such"
                    f" column; found {columns}."
                )


def label_reader(
    file: Path, columns: list[str], image_column: str, tables: list[Path], settings: LabelSettings
) -> tuple[tuple[str, ...], Callable[[TableRow], list[float]]]:
    """Label names, and how to read the labels of a row.

    Args:
        file: the table.
        columns: its columns, empty for those to leave out.
        image_column: that of the image paths.
        tables: all tables of the data set, whose `labels` columns share one vocabulary.
        settings: what the user says about the labels.

    Raises:
        DatasetError: when there is no label, or it is not clear what is one.
    """
    reserved = {"", image_column, "split", *BOX_COLUMNS}
    usable = [name for name in columns if name not in reserved]
    wanted = _names(settings.label_columns) or usable
    absent = sorted(set(wanted) - set(usable))
    if absent:
        raise DatasetError(
            f"label_columns names {absent}, but {file} has no such column of labels; found"
            f" {usable}."
        )
    if _JOINED not in wanted:
        return _label_columns(file, columns, wanted, settings.are_soft)
    if settings.are_soft:
        raise DatasetError(
            f"{file} has a `labels` column of names, which are there or not: soft labels need a"
            " column of numbers per label. Leave --soft_labels out."
        )
    extra = sorted(set(wanted) - {_JOINED, *IMAGE_COLUMNS})
    if extra:
        raise DatasetError(
            f"{file} has both a `labels` column and other columns that could be labels: {extra}."
            f" Leave them out with --ignore_columns={as_flag(extra)}, or say which are labels with"
            " --label_columns."
        )
    return _joined_labels(file, columns, tables, settings.separator)


def cell_text(value: Any) -> str:
    """A cell as stripped text; Parquet's missing values and booleans as a CSV has them."""
    if isinstance(value, str):
        return value.strip()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


def as_flag(names: list[str]) -> str:
    """Names as the value of a flag: as a line of a CSV, quoted where they hold a comma."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()


def _names(flag: str) -> list[str]:
    names = next(csv.reader([flag], skipinitialspace=True), [])
    return [name.strip() for name in names if name.strip()]


def _label_columns(file: Path, columns: list[str], names: list[str], are_soft: bool):
    if not names:
        raise DatasetError(f"{file} has no label: expected 0/1 columns or a `labels` column.")
    indices = [columns.index(name) for name in names]

    def parse(row: TableRow) -> list[float]:
        return [_label_value(row.values[index], columns[index], are_soft) for index in indices]

    return tuple(names), parse


def _joined_labels(file: Path, columns: list[str], tables: list[Path], separator: str):
    names: set[str] = set()
    for table in tables:
        table_columns = column_names(table)
        if _JOINED not in table_columns or not set(IMAGE_COLUMNS) & set(table_columns):
            continue  # another table of the folder, such as scores
        index = table_columns.index(_JOINED)
        for row in table_rows(table):
            if len(row.values) == len(table_columns):
                names.update(_joined_names(row.values[index], separator))
    if not names:
        raise DatasetError(f"{file}: the `labels` column is empty in every row.")
    label_names = tuple(sorted(names))
    labels_index = columns.index(_JOINED)

    def parse(row: TableRow) -> list[float]:
        value = row.values[labels_index]
        strange = [part for part in value if not _is_name(part)] if isinstance(value, list) else []
        if strange:
            reason = f"the list of `labels` holds {strange[0]!r}, expected names."
            raise BadRowError(reason, "no name")
        present = _joined_names(value, separator)
        return [float(name in present) for name in label_names]

    return label_names, parse


def _joined_names(value: Any, separator: str) -> set[str]:
    if isinstance(value, list):
        parts = [str(part) for part in value if _is_name(part)]
    else:
        parts = cell_text(value).split(separator)
    return {part.strip() for part in parts if part.strip()}


def _is_name(part: Any) -> bool:
    return isinstance(part, (str, int)) and not isinstance(part, bool)


def _label_value(value: Any, column: str, is_soft: bool) -> float:
    text = cell_text(value).lower()
    label, share = _LABEL_VALUES.get(text), _share(text)
    if label is None and is_soft:
        if share is None:
            raise BadRowError(
                f"column {column!r}: {value!r} is no number in 0..1 (--soft_labels), True, False or"
                " empty (unknown).",
                f"label {column}",
            )
        return share
    if label is None:
        hint = "" if share is None else " Of numbers between 0 and 1 give --soft_labels."
        raise BadRowError(
            f"column {column!r}: {value!r} is none of 0, 1, True, False or empty (unknown). Every"
            " column other than the image, split, x, y, w and h is a label, unless it is left out"
            f" (--ignore_columns={as_flag([column])}) or others are named (--label_columns)."
            f"{hint}",
            f"label {column}",
        )
    return label


def _share(text: str) -> float | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None
