"""What to score: one `ScoringInput` per row, in a settled order, without opening any image."""

import csv
import dataclasses
import functools
import glob
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp")
    # Not supported, but an image that the user put there: it gets a row that says so.
    + (".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2")
)
LIST_SUFFIXES = (".csv", ".parquet", ".txt")
BOX_COLUMNS = ("x", "y", "w", "h")


@dataclasses.dataclass(frozen=True, slots=True)
class ScoringInput:
    """One row to score.

    Attributes:
        image: The path as given: the identity of the row.
        path: The file to open.
        box: x, y, width, height in pixels, or None for the whole image.
        problem: Why this row of a list cannot be read, or None.
    """

    image: str
    path: str
    box: tuple[float, ...] | None = None
    problem: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """Inputs that can be counted and then read in order.

    Attributes:
        count: Number of rows.
        sha256: Hash of all rows in order: paths as given, and boxes.
        read: Starts a new pass over the rows.
        has_boxes: Whether rows may carry a box.
        left_out: Files of a folder that were left out for their suffix.
    """

    count: int
    sha256: str
    read: Callable[[], Iterator[ScoringInput]]
    has_boxes: bool = False
    left_out: int = 0

    @classmethod
    def survey(cls, read: Callable[[], Iterator[ScoringInput]], **facts: Any) -> "Source":
        """A source whose rows were counted and hashed in one pass."""
        digest, count = hashlib.sha256(), 0
        for row in read():
            count += 1
            digest.update(repr((row.image, row.box, row.problem is None)).encode())
        return cls(count, digest.hexdigest(), read, **facts)


def open_source(images: str, image_root: str = "") -> Source:
    """Finds the inputs that `images` names.

    Args:
        images: A folder, an image file, a glob pattern, or a list (`.csv`, `.parquet`, `.txt`).
        image_root: Folder from which relative paths of a list start; default: its own folder.

    Raises:
        ValueError: when nothing is found, a folder cannot be read, or a list has no column
            `image`.
    """
    suffix = os.path.splitext(images)[1].lower()
    if os.path.isdir(images):
        source = _folder_source(images)
    elif os.path.isfile(images) and suffix in LIST_SUFFIXES:
        source = _list_source(images, suffix, image_root or os.path.dirname(images))
    elif os.path.isfile(images):
        source = _paths_source([images])
    elif glob.has_magic(images):
        matches = glob.glob(images, recursive=True)
        source = _paths_source(sorted(path for path in matches if os.path.isfile(path)))
    else:
        raise ValueError(f"No file, folder or glob {images!r}. Check --images.")
    if not source.count:
        raise ValueError(f"{images!r} holds no images. {_what_was_expected(images, source)}")
    return source


def _what_was_expected(images: str, source: Source) -> str:
    if os.path.isdir(images):
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        return f"{source.left_out} files in it have none of the suffixes {suffixes}."
    return "Expected at least one path."


def _paths_source(paths: Sequence[str], left_out: int = 0) -> Source:
    return Source.survey(lambda: (ScoringInput(path, path) for path in paths), left_out=left_out)


def _folder_source(folder: str) -> Source:
    files = list(_walk(folder, frozenset()))
    images = [path for path in files if os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES]
    return _paths_source(sorted(images), len(files) - len(images))


def _walk(folder: str, parents: frozenset[tuple[int, int]]) -> Iterator[str]:
    """All files below `folder`; links are followed except into a folder that they lie in."""
    try:
        status = os.stat(folder)
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError as error:
        raise ValueError(f"The folder {folder!r} cannot be read: {error.strerror}.") from error
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry.path, parents | {identity})
        else:
            yield entry.path


def _list_source(path: str, suffix: str, root: str) -> Source:
    reader, has_boxes = {
        ".csv": _open_csv,
        ".parquet": _open_parquet,
        ".txt": _open_text,
    }[suffix](path)

    def read() -> Iterator[ScoringInput]:
        for row in reader():
            yield _scoring_input(row, root)

    return Source.survey(read, has_boxes=has_boxes)


@dataclasses.dataclass(frozen=True, slots=True)
class _ListRow:
    """A row of a list: where it stands, its path, and its box as written (or None)."""

    place: str
    image: str | None
    box: Sequence | None


def _scoring_input(row: _ListRow, root: str) -> ScoringInput:
    if not row.image:
        return ScoringInput("", "", problem=f"{row.place}: no path in the column image.")
    path = os.path.join(root, row.image)
    values = [value for value in row.box or () if value not in (None, "")]
    if not values:
        return ScoringInput(row.image, path)
    try:
        box = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        box = ()
    if len(box) != len(BOX_COLUMNS):
        columns = ", ".join(BOX_COLUMNS)
        problem = f"{row.place}: the columns {columns} need four numbers, got {list(row.box)}."
        return ScoringInput(row.image, path, problem=problem)
    return ScoringInput(row.image, path, box)


def _box_columns(path: str, columns: Sequence[str]) -> bool:
    """Whether a list has boxes, after a check of its columns."""
    if "image" not in columns:
        raise ValueError(f"{path!r} has no column image. Its columns are: {', '.join(columns)}.")
    missing = [name for name in BOX_COLUMNS if name not in columns]
    if 0 < len(missing) < len(BOX_COLUMNS):
        raise ValueError(f"{path!r} has boxes without the columns {', '.join(missing)}.")
    return not missing


def _open_csv(path: str):
    # Bytes that are not UTF-8 are kept, as in file names.
    opened = functools.partial(
        open, path, newline="", encoding="utf-8-sig", errors="surrogateescape"
    )
    with opened() as file:
        has_boxes = _box_columns(path, next(csv.reader(file), []))

    def read() -> Iterator[_ListRow]:
        with opened() as file:
            rows = csv.DictReader(file)
            try:
                for row in rows:
                    box = [row[name] for name in BOX_COLUMNS] if has_boxes else None
                    yield _ListRow(f"{path}, line {rows.line_num}", row["image"], box)
            except csv.Error as error:
                raise ValueError(f"{path!r} is no CSV: line {rows.line_num}: {error}") from error

    return read, has_boxes


def _open_parquet(path: str):
    # Imported here: a folder or a single image needs no pyarrow, and it takes long to load.
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path!r} is no Parquet file: {error}") from error
    has_boxes = _box_columns(path, schema.names)
    kind = schema.field("image").type
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        raise ValueError(f"The column image of {path!r} must hold strings, it holds {kind}.")
    columns = ["image", *(BOX_COLUMNS if has_boxes else ())]

    def read() -> Iterator[_ListRow]:
        number = 0
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    box = [row[name] for name in BOX_COLUMNS] if has_boxes else None
                    yield _ListRow(f"{path}, row {number}", row["image"], box)

    return read, has_boxes


def _open_text(path: str):
    def read() -> Iterator[_ListRow]:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                if line := line.rstrip("\n"):
                    yield _ListRow(f"{path}, line {number}", line, None)

    return read, False
