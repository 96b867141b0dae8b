"""Lists of images: CSV or Parquet with a column `image` and optional boxes, or lines of text.

Bytes that are not UTF-8 are kept as Python keeps them in file names (surrogateescape). A path
with a line break needs CSV (in quotes) or Parquet.
"""

import contextlib
import csv
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from export.files.remote_files import is_url
from export.scoring import parquet_package
from export.scoring.sources.input import BOX_COLUMNS, ScoringInput, Source

LIST_SUFFIXES = (".csv", ".parquet", ".txt")


def list_source(path: str, suffix: str, root: str, name: str = "") -> Source:
    """The rows of a list.

    Args:
        path: The file.
        suffix: What it is: `.csv`, `.parquet` or `.txt`.
        root: Folder from which relative paths start.
        name: What messages call it; default: its path.

    Raises:
        ValueError: when the file is no such list or has no column `image`.
    """
    reader, has_boxes = {
        ".csv": _open_csv,
        ".parquet": _open_parquet,
        ".txt": _open_text,
    }[suffix](path)

    def read() -> Iterator[ScoringInput]:
        for row in reader():
            yield _scoring_input(row, root, name or path)

    return Source.survey(read, root, has_boxes=has_boxes)


@dataclasses.dataclass(frozen=True, slots=True)
class _ListRow:
    """A row of a list.

    Attributes:
        place: Where it stands.
        image: Its path.
        box: As written, or None.
        has_more: Whether it has more fields, not empty, than the list has columns.
    """

    place: str
    image: str | None
    box: Sequence[Any] | None
    has_more: bool = False


# A new pass over the rows, and whether they may have boxes.
_OpenList = tuple[Callable[[], Iterator[_ListRow]], bool]


def _scoring_input(row: _ListRow, root: str, name: str) -> ScoringInput:
    place = f"{name}, {row.place}"
    if not row.image:
        return ScoringInput("", "", problem=f"{place}: no path in the column image.")
    if row.has_more:
        problem = f"{place}: more fields than columns. A comma in a path needs quotes around it."
        return ScoringInput(row.image, "", problem=problem)
    path = row.image if is_url(row.image) else os.path.join(root, row.image)
    values = [value for value in row.box or () if value not in (None, "")]
    if not values:
        return ScoringInput(row.image, path)
    try:
        box = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        box = ()
    if len(box) != len(BOX_COLUMNS):
        columns = ", ".join(BOX_COLUMNS)
        problem = f"{place}: the columns {columns} need four numbers, got {list(row.box or ())}."
        return ScoringInput(row.image, path, problem=problem)
    return ScoringInput(row.image, path, box)


def _box_columns(path: str, columns: Sequence[str]) -> bool:
    """Whether a list has boxes, after a check of its columns."""
    if "image" not in columns:
        found = ", ".join(columns)
        found = found if len(found) <= 200 else f"{found[:200]!r}..."
        raise ValueError(f"{path!r} has no column image. Its columns are: {found}.")
    missing = [name for name in BOX_COLUMNS if name not in columns]
    if 0 < len(missing) < len(BOX_COLUMNS):
        raise ValueError(f"{path!r} has boxes without the columns {', '.join(missing)}.")
    return not missing


def _open_csv(path: str) -> _OpenList:
    # Bytes that are not UTF-8 are kept, as in file names.
    opened = functools.partial(
        open, path, newline="", encoding="utf-8-sig", errors="surrogateescape"
    )
    with opened() as file:
        reader = csv.reader(file, strict=True)
        with _named_errors(path, reader):
            columns = next(reader, [])
    has_boxes = _box_columns(path, columns)

    def read() -> Iterator[_ListRow]:
        with opened() as file:
            rows = csv.DictReader(file, strict=True)
            with _named_errors(path, rows):
                for row in rows:
                    box = [row[name] for name in BOX_COLUMNS] if has_boxes else None
                    has_more = any(row.get(None) or ())  # What has no column; it may be empty.
                    yield _ListRow(f"line {rows.line_num}", row["image"], box, has_more)

    return read, has_boxes


@contextlib.contextmanager
def _named_errors(path: str, reader: Any) -> Iterator[None]:
    """Turns what the csv module raises into a ValueError that names the list."""
    try:
        yield
    except csv.Error as error:
        raise ValueError(
            f"{path!r} is no CSV after line {reader.line_num}: {error}. A quote not closed?"
        ) from error


def _open_parquet(path: str) -> _OpenList:
    parquet_package.require_for(path)
    # Imported here: a folder or a single image needs no pyarrow, and it takes long to load.
    import pyarrow
    from pyarrow import parquet

    @contextlib.contextmanager
    def named_errors() -> Iterator[None]:
        try:
            yield
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path!r} is no Parquet file that can be read: {error}") from error

    with named_errors(), parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
    has_boxes = _box_columns(path, schema.names)
    kind = schema.field("image").type
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        raise ValueError(f"The column image of {path!r} must hold strings, it holds {kind}.")
    columns = ["image", *(BOX_COLUMNS if has_boxes else ())]

    def read() -> Iterator[_ListRow]:
        number = 0
        with named_errors(), parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    box = [row[name] for name in BOX_COLUMNS] if has_boxes else None
                    yield _ListRow(f"row {number}", row["image"], box)

    return read, has_boxes


def _open_text(path: str) -> _OpenList:
    def read() -> Iterator[_ListRow]:
        # A carriage return alone ends no line: file names may hold it.
        with open(path, newline="\n", encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                if line := line.removesuffix("\n").removesuffix("\r"):
                    yield _ListRow(f"line {number}", line, None)

    return read, False
