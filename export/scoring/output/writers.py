"""Score rows to Parquet, CSV or JSON Lines, streamed; the file appears whole or not at all.

The columns are those of `Columns`. Rows without scores have nulls (in CSV: empty fields).
"""

import contextlib
import csv
import itertools
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from export.files.atomic_file import replace_file
from export.scoring import parquet_package
from export.scoring.config_checks import STANDARD_OUTPUT
from export.scoring.output.finished_rows import csv_records, replace_some
from export.scoring.output.rows import Columns, RowBlock, RowWriter, printable_path
from export.scoring.sources.input import BOX_COLUMNS

OUTPUT_SUFFIXES = (".parquet", ".csv", ".jsonl")
STREAM_SUFFIX = ".jsonl"  # Of rows on the standard output.


@contextlib.contextmanager
def open_writer(
    path: str, columns: Columns, properties: Mapping[str, str] | None = None, is_part: bool = False
) -> Iterator[RowWriter]:
    """A writer with `write(block)`; `path` is replaced when the body ends without exception.

    Args:
        path: The file.
        columns: Its columns.
        properties: What Parquet stores about the file as a whole.
        is_part: Whether the file is only for `append_part`: CSV then has no line of names.

    Raises:
        ValueError: for a suffix other than .parquet, .csv, .jsonl, for .parquet without pyarrow,
            or a folder that does not exist or cannot be written.
    """
    suffix = check_output(path)
    with replace_file(path) as file, open_rows(file, suffix, columns, properties, is_part) as rows:
        yield rows


@contextlib.contextmanager
def open_rows(
    file: BinaryIO,
    suffix: str,
    columns: Columns,
    properties: Mapping[str, str] | None = None,
    is_part: bool = False,
) -> Iterator[RowWriter]:
    """A writer as `open_writer` has it, into a file that the caller opened and closes."""
    if suffix == ".parquet":
        # Imported here: the other formats need no pyarrow, and it takes long to load.
        from export.scoring.output.parquet_writer import ParquetRows

        rows: RowWriter = ParquetRows(file, columns, properties)
    elif suffix == ".csv":
        rows = _CsvRows(file, columns, header=not is_part)
    else:
        rows = _JsonLinesRows(file, columns)
    try:
        yield rows
        rows.close()
    except BaseException:
        rows.abandon()
        raise


def nearest_folder(path: str) -> str:
    """The folder of a file, or where that is missing the nearest one above it that is there."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return folder


def check_output(path: str) -> str:
    """The suffix of an output file, after a check that it can be written there.

    Its folder may be missing: a job makes it with its first part.
    """
    if path == STANDARD_OUTPUT:
        return STREAM_SUFFIX
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in OUTPUT_SUFFIXES:
        raise ValueError(
            f"Unknown output type {path!r}. Expected a name that ends in"
            f" {', '.join(OUTPUT_SUFFIXES)}."
        )
    if suffix == ".parquet":
        parquet_package.require_for(path)
    if not os.path.isdir(folder := nearest_folder(path)):
        raise ValueError(f"The output {path!r} cannot be written: {folder!r} is no folder.")
    if os.path.isdir(path):
        raise ValueError(f"The output {path!r} is a folder. Give the name of a file.")
    return suffix


class _TextRows:
    """What CSV and JSON Lines share: rows one by one, floats in their shortest float32 form."""

    _header_records = 0

    def _write_row(self, values: Sequence[Any]) -> None:
        """Adds a row: one value per column, None for an empty field."""
        raise NotImplementedError

    def _records(self, file: BinaryIO) -> Iterator[bytes]:
        """The records of a file of the format, each with its end."""
        raise NotImplementedError

    def _numbers(self, texts: Iterable[str]) -> Iterable[Any]:
        """Numbers as the format has them."""
        raise NotImplementedError

    def _list_of_names(self, names: Iterable[str]) -> Any:
        """Names of labels in one field."""
        raise NotImplementedError

    def _list_of_objects(self, objects: list[Any]) -> Any:
        """Objects in one field."""
        raise NotImplementedError

    def __init__(self, file: BinaryIO, columns: Columns):
        self._file = file
        self._columns = columns
        self._label_names = np.array(columns.label_names, dtype=object)

    def write(self, block: RowBlock) -> None:
        texts = block.probabilities.astype(str)
        logits = block.asked("logits").astype(str) if self._columns.has_logits else None
        has_peaks = self._columns.has_peaks
        peaks = block.asked("peaks").objects(self._columns.label_names) if has_peaks else None
        top = block.top_labels(self._columns.top_k) if self._columns.top_k else None
        has_stability = self._columns.has_stability
        stability = block.asked("stability").astype(str) if has_stability else None
        has_embeddings = self._columns.embedding_size > 0
        embeddings = block.asked("embeddings").astype(str) if has_embeddings else None
        for row, scoring_input in enumerate(block.inputs):
            error = block.errors[row]
            error = None if error is None else printable_path(error)
            leading: list[Any] = [printable_path(scoring_input.image), block.statuses[row], error]
            if self._columns.has_boxes:
                leading += scoring_input.box or [None] * len(BOX_COLUMNS)
            scored = block.statuses[row] == "ok"
            if not scored:
                empty = len(self._columns.all) - len(leading)
                self._write_row([*leading, *[None] * empty])
                continue
            decided = self._label_names[block.decisions[row]]
            if top is None:
                values = [*self._numbers(texts[row])]
            else:
                own = None if stability is None else stability[row]
                values = [self._list_of_objects(self._top(texts[row], top[row], own))]
            values.append(self._list_of_names(decided))
            if logits is not None:
                values.extend(self._numbers(logits[row]))
            if stability is not None and top is None:
                values.extend(self._numbers(stability[row]))
            if peaks is not None:
                values.append(self._list_of_objects(peaks[row]))
            if embeddings is not None:
                values.append(self._list_of_objects(list(map(float, embeddings[row]))))
            self._write_row([*leading, *values])

    def _top(
        self, texts: np.ndarray, labels: np.ndarray, stability: np.ndarray | None
    ) -> list[dict[str, Any]]:
        entries = [
            {"label": self._label_names[label], "probability": float(texts[label])}
            for label in labels
        ]
        if stability is not None:
            for entry, label in zip(entries, labels, strict=True):
                entry["stability"] = float(stability[label])
        return entries

    def append_part(self, path: str) -> None:
        """Adds the rows of a file of the same format, which has no header."""
        with open(path, "rb") as part:
            shutil.copyfileobj(part, self._file, 1 << 20)

    def append_replaced(self, path: str, rows: Sequence[int], parts: Sequence[str]) -> None:
        """Adds the rows of a finished output, some of them replaced.

        Args:
            path: The output, of the same format and columns.
            rows: Ascending numbers of the rows to replace, from 0.
            parts: Files without header with as many rows in all.
        """
        with contextlib.ExitStack() as files:
            output, *new = (files.enter_context(open(name, "rb")) for name in (path, *parts))
            records = self._records(output)
            next(itertools.islice(records, self._header_records, self._header_records), None)
            replacements = itertools.chain.from_iterable(map(self._records, new))
            for record in replace_some(records, rows, replacements):
                self._file.write(record)

    def close(self) -> None:
        self._file.flush()

    def abandon(self) -> None:
        """Nothing waits here."""


class _CsvRows(_TextRows):
    r"""Decisions are joined with `|`; inside a name `|` is `\|` and `\` is `\\`; lists are JSON."""

    _header_records = 1

    def __init__(self, file: BinaryIO, columns: Columns, header: bool):
        super().__init__(file, columns)
        self._text = _Utf8(file)
        # The module quotes the characters of its line terminator only.
        self._csv = csv.writer(self._text, lineterminator="\r\n")
        if header:
            self._csv.writerow(columns.all)

    def _write_row(self, values: Sequence[Any]) -> None:
        self._csv.writerow(values)

    def _records(self, file: BinaryIO) -> Iterator[bytes]:
        return csv_records(file)

    def _numbers(self, texts: Iterable[str]) -> Iterable[Any]:
        return texts

    def _list_of_names(self, names: Iterable[str]) -> Any:
        return "|".join(re.sub(r"([\\|])", r"\\\1", name) for name in names)

    def _list_of_objects(self, objects: list[Any]) -> Any:
        return json.dumps(objects, ensure_ascii=False)


class _Utf8:
    """Lets the csv module write to a binary file, in lines that end with a line feed."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.removesuffix("\r\n").encode() + b"\n")


class _JsonLinesRows(_TextRows):
    def _write_row(self, values: Sequence[Any]) -> None:
        row = dict(zip(self._columns.all, map(_finite, values), strict=True))
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def _records(self, file: BinaryIO) -> Iterator[bytes]:
        return iter(file)

    def _numbers(self, texts: Iterable[str]) -> Iterable[Any]:
        return map(float, texts)

    def _list_of_names(self, names: Iterable[str]) -> Any:
        return list(names)

    def _list_of_objects(self, objects: list[Any]) -> Any:
        return objects


def _finite(value: Any) -> Any:
    """None for NaN and infinity (a box of a bad row), which JSON does not know."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
