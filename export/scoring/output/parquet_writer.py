"""Score rows to Parquet: float32 probabilities and decisions as lists of strings."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from export.scoring.output.heatmap_peaks import PIXEL_FIELDS, Peaks
from export.scoring.output.rows import Columns, RowBlock, printable_path
from export.scoring.sources.input import BOX_COLUMNS

_VALUES_PER_ROW_GROUP = 1_000_000
_MOST_ROWS_PER_GROUP = 10_000  # A group is in memory whole, with its texts.
# Only these columns have dictionaries: scores are all different, and looking for equal ones takes
# three times as long as writing them, into a larger file.
_REPEATED_TEXTS = ["status", "error", "decisions.list.element", "peaks.list.element.label"]
_REPEATED_TEXTS += ["top.list.element.label"]
_ROWS_PER_TABLE = 1024  # A column takes Arrow as long for a few rows as for a hundred.


class ParquetRows:
    """Row groups of a size that depends on the number of labels only.

    Args:
        file: A binary file.
        columns: Its columns.
        properties: What it stores about itself as a whole.
    """

    def __init__(self, file: Any, columns: Columns, properties: Mapping[str, str] | None = None):
        self._columns = columns
        fields = [(name, pyarrow.string()) for name in ("image", "status", "error")]
        fields += [(name, pyarrow.float64()) for name in columns.leading[3:]]
        fields += [(name, pyarrow.float32()) for name in columns.labels]
        if columns.top_k:
            fields += [("top", pyarrow.list_(_top_type(columns.has_stability)))]
        fields += [("decisions", pyarrow.list_(pyarrow.string()))]
        fields += [(name, pyarrow.float32()) for name in (*columns.logits, *columns.stability)]
        if columns.has_peaks:
            fields += [("peaks", pyarrow.list_(_peak_type()))]
        if columns.embedding_size:
            fields += [("embedding", pyarrow.list_(pyarrow.float32(), columns.embedding_size))]
        self._schema = pyarrow.schema(fields, properties)
        self._writer = parquet.ParquetWriter(file, self._schema, use_dictionary=_REPEATED_TEXTS)
        values = len(columns.all) + 2 * columns.top_k + columns.embedding_size
        values += columns.top_k if columns.has_stability else 0
        rows = max(1, _VALUES_PER_ROW_GROUP // values)
        self._rows_per_group = min(rows, _MOST_ROWS_PER_GROUP)
        self._blocks: list[RowBlock] = []
        self._waiting: list[Any] = []
        self._rows_waiting = 0

    def write(self, block: RowBlock) -> None:
        """Adds rows; they become a table with those of other calls."""
        self._blocks.append(block)
        if sum(len(waiting.inputs) for waiting in self._blocks) >= _ROWS_PER_TABLE:
            self._add_blocks()

    def _add_blocks(self) -> None:
        if self._blocks:
            self._add(self._table(RowBlock.join(self._blocks)))
            self._blocks = []

    def append_part(self, path: str) -> None:
        """Adds the rows of a file with the same columns."""
        for table in _row_groups(path):
            self._add(table.cast(self._schema))

    def append_replaced(self, path: str, rows: Sequence[int], parts: Sequence[str]) -> None:
        """Adds the rows of a finished output, some of them replaced.

        Args:
            path: The output, with the same columns.
            rows: Ascending numbers of the rows to replace, from 0.
            parts: Files with as many rows in all.
        """
        numbers, first, new = np.asarray(rows), 0, _Rows(parts)
        with parquet.ParquetFile(path) as output:
            for batch in output.iter_batches(self._rows_per_group):
                here = numbers[(numbers >= first) & (numbers < first + batch.num_rows)] - first
                table = pyarrow.Table.from_batches([batch]).cast(self._schema)
                if len(here):
                    order = np.arange(len(table))
                    order[here] = len(table) + np.arange(len(here))
                    replacements = new.take(len(here)).cast(self._schema)
                    table = pyarrow.concat_tables([table, replacements]).take(order)
                self._add(table)
                first += batch.num_rows

    def _add(self, table: Any) -> None:
        self._waiting.append(table)
        self._rows_waiting += table.num_rows
        if self._rows_waiting >= self._rows_per_group:
            table = pyarrow.concat_tables(self._waiting)
            whole = table.num_rows - table.num_rows % self._rows_per_group
            self._write(table.slice(0, whole))
            self._waiting = [table.slice(whole)]
            self._rows_waiting -= whole

    def _write(self, table: Any) -> None:
        # In one piece: pages could end where the pieces end.
        self._writer.write_table(table.combine_chunks(), self._rows_per_group)

    def close(self) -> None:
        self._add_blocks()
        if self._rows_waiting:
            self._write(pyarrow.concat_tables(self._waiting))
        self._writer.close()

    def abandon(self) -> None:
        """Writes no more: pyarrow would try when it is collected, and hide why writing failed."""
        self._writer.is_open = False

    def _table(self, block: RowBlock) -> Any:
        failed = np.array([status != "ok" for status in block.statuses])
        images = [printable_path(value.image) for value in block.inputs]
        errors = [None if text is None else printable_path(text) for text in block.errors]
        texts = (images, block.statuses, errors)
        arrays = [pyarrow.array(column, pyarrow.string()) for column in texts]
        if self._columns.has_boxes:
            boxes = [value.box or (None,) * len(BOX_COLUMNS) for value in block.inputs]
            arrays += [pyarrow.array(side, pyarrow.float64()) for side in zip(*boxes, strict=True)]
        names = pyarrow.array(self._columns.label_names, pyarrow.string())
        if self._columns.top_k:
            arrays.append(_top_lists(block, self._columns, names, failed))
        else:
            arrays += _score_columns(block.probabilities, failed)
        offsets = np.concatenate([[0], np.cumsum(block.decisions.sum(axis=1))]).astype(np.int32)
        decided = names.take(pyarrow.array(np.nonzero(block.decisions)[1]))
        arrays += [pyarrow.ListArray.from_arrays(offsets, decided, mask=pyarrow.array(failed))]
        if self._columns.has_logits:
            arrays += _score_columns(block.asked("logits"), failed)
        if self._columns.stability:
            arrays += _score_columns(block.asked("stability"), failed)
        if self._columns.has_peaks:
            arrays.append(_peak_lists(block.asked("peaks"), names, failed))
        if self._columns.embedding_size:
            values = pyarrow.array(
                np.where(failed[:, None], 0.0, block.asked("embeddings")).ravel()
            )
            size, mask = self._columns.embedding_size, pyarrow.array(failed)
            arrays.append(
                pyarrow.FixedSizeListArray.from_arrays(
                    values.cast(pyarrow.float32()), size, mask=mask
                )
            )
        return pyarrow.table(arrays, schema=self._schema)


class _Rows:
    """The rows of several files, from the first to the last."""

    def __init__(self, paths: Sequence[str]):
        self._tables = itertools.chain.from_iterable(map(_row_groups, paths))
        self._rest: Any = None

    def take(self, count: int) -> Any:
        """The next `count` rows."""
        tables = [] if self._rest is None else [self._rest]
        while sum(table.num_rows for table in tables) < count:
            tables.append(next(self._tables))
        table = pyarrow.concat_tables(tables)
        self._rest = table.slice(count)
        return table.slice(0, count)


def _row_groups(path: str) -> Iterator[Any]:
    with parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


def _peak_lists(peaks: Peaks, label_names: Any, failed: np.ndarray) -> Any:
    """The column `peaks`; null for rows that failed."""
    columns = [label_names.take(pyarrow.array(peaks.labels))]
    numbers = (peaks.values, *peaks.places.T)
    columns += [pyarrow.array(values, mask=np.isnan(values)) for values in numbers]
    count = len(peaks.labels)
    files = pyarrow.nulls(count) if peaks.files is None else pyarrow.array(peaks.files)
    columns += [files.cast(pyarrow.string())]
    structs = pyarrow.StructArray.from_arrays(columns, fields=list(_peak_type()))
    return pyarrow.ListArray.from_arrays(peaks.offsets, structs, mask=pyarrow.array(failed))


def _score_columns(values: np.ndarray, failed: np.ndarray) -> list[Any]:
    """A column per label of `[N, L]`; null for rows that failed."""
    return [pyarrow.array(column, mask=failed) for column in values.T.copy()]


def _top_lists(block: RowBlock, columns: Columns, label_names: Any, failed: np.ndarray) -> Any:
    """The column `top`; null for rows that failed."""
    labels = block.top_labels(columns.top_k)
    scores = [block.probabilities]
    if columns.has_stability:
        scores.append(block.asked("stability"))
    arrays = [label_names.take(pyarrow.array(labels.ravel()))]
    arrays += [
        pyarrow.array(np.take_along_axis(values, labels, axis=1).ravel()) for values in scores
    ]
    structs = pyarrow.StructArray.from_arrays(arrays, fields=list(_top_type(columns.has_stability)))
    offsets = np.arange(len(labels) + 1, dtype=np.int32) * labels.shape[1]
    return pyarrow.ListArray.from_arrays(offsets, structs, mask=pyarrow.array(failed))


def _top_type(has_stability: bool) -> Any:
    numbers = ("probability", *(("stability",) if has_stability else ()))
    fields = [(name, pyarrow.float32()) for name in numbers]
    return pyarrow.struct([("label", pyarrow.string()), *fields])


def _peak_type() -> Any:
    fields = [("label", pyarrow.string()), ("value", pyarrow.float64())]
    fields += [(name, pyarrow.float64()) for name in PIXEL_FIELDS]
    return pyarrow.struct([*fields, ("file", pyarrow.string())])
