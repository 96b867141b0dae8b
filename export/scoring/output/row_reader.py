"""The rows of a finished output, read back in whatever format it was written."""

import csv
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from export.scoring.output.rows import Columns

# Of 1,000 labels the peaks alone are longer than the 128 KiB that the csv module takes.
csv.field_size_limit(2**31 - 1)


@dataclasses.dataclass(frozen=True)
class ReadRow:
    """One row.

    Attributes:
        image: As the job was given it.
        status: `ok` for a row with scores.
        decided: Names of the decided labels, with their probabilities where the file has them.
        numbers: Those of the columns that were asked for, where there are scores.
    """

    image: str
    status: str
    decided: Mapping[str, float | None]
    numbers: tuple[float, ...] = ()


def read_rows(
    path: str, suffix: str, columns: Columns, numbers: Sequence[str] = ()
) -> Iterator[ReadRow]:
    """All rows in order, a few in memory at a time.

    Args:
        path: The file.
        suffix: Its format: .parquet, .csv or .jsonl.
        columns: Its columns.
        numbers: Names of columns of numbers that rows are to hold.
    """
    reader = {".parquet": _parquet_rows, ".csv": _csv_rows, ".jsonl": _json_rows}[suffix]
    column_of = dict(zip(columns.label_names, columns.labels, strict=False))  # None with top_k.
    for row in reader(path):
        names = row["decisions"] or []
        if columns.top_k:
            top = {entry["label"]: entry["probability"] for entry in row["top"] or []}
            decided = {name: top.get(name) for name in names}
        else:
            decided = {name: float(row[column_of[name]]) for name in names}
        asked = numbers if row["status"] == "ok" else ()
        yield ReadRow(
            row["image"], row["status"], decided, tuple(float(row[name]) for name in asked)
        )


def _parquet_rows(path: str) -> Iterator[dict[str, Any]]:
    # Imported here: the other formats need no pyarrow.
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(1024):
            yield from batch.to_pylist()


def _csv_rows(path: str) -> Iterator[dict[str, Any]]:
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            row["decisions"] = split_names(row["decisions"])
            row["top"] = json.loads(row.get("top") or "[]")
            yield row


def _json_rows(path: str) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        yield from map(json.loads, file)


def split_names(text: str) -> list[str]:
    r"""Names that CSV holds joined with `|`, where `\|` is `|` and `\\` is `\` inside a name."""
    if not text:
        return []
    return [
        re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)
        for name in re.findall(r"(?:^|\|)((?:\\.|[^|\\])*)", text, re.DOTALL)
    ]
