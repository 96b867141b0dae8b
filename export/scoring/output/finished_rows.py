"""Reads finished outputs back: the status of each row, and its record as it stands in the file."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

_CSV_STATUS = re.compile(rb'(?:"(?:[^"]|"")*"|[^",]*),([a-z_]+),')  # After the image.


def read_statuses(path: str, suffix: str) -> Iterator[str]:
    """The status of each row in order; `suffix` is the format of the file."""
    if suffix == ".parquet":
        # Imported here: the other formats need no pyarrow.
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            for table in file.iter_batches(columns=["status"]):
                yield from table["status"].to_pylist()
        return
    with open(path, "rb") as file:
        if suffix == ".csv":
            records = csv_records(file)
            next(records)  # The names of the columns.
            for record in records:
                if (match := _CSV_STATUS.match(record)) is None:
                    raise ValueError(
                        f"{path!r} has the record {record[:80]!r}, expected an image and a status."
                    )
                yield match[1].decode()
        else:
            for line in file:
                yield json.loads(line)["status"]


def csv_records(file: BinaryIO) -> Iterator[bytes]:
    """The records of a CSV file as they stand there; a quoted field may hold line ends."""
    record = b""
    for line in file:
        record += line
        if record.count(b'"') % 2 == 0:
            yield record
            record = b""


def replace_some(
    records: Iterable[Any], rows: Iterable[int], replacements: Iterator[Any]
) -> Iterator[Any]:
    """The records, those with the numbers `rows` (ascending, from 0) replaced in their order."""
    numbers = iter(rows)
    wanted = next(numbers, None)
    for number, record in enumerate(records):
        if number == wanted:
            record, wanted = next(replacements), next(numbers, None)
        yield record
