"""Probabilities and decisions out of a file that score.py wrote, in the order of a split."""

import csv
import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.packed_images import name_of
from vac_tf.datasets.split import DatasetError

# Columns of score.py that are no label; a label of such a name is written with the prefix.
_COLUMNS = frozenset({"image", "status", "error", "x", "y", "w", "h", "decisions", "peaks"})
_COLUMNS |= {"embedding"}
_LABEL_PREFIX, _LOGIT_PREFIX = "label:", "logit:"
_OF_LABELS = (_LOGIT_PREFIX, "stability:")  # Begin the names of more columns of a label.
_EXPECTED = "expected rows with the columns image, status and decisions, as score.py writes them"


@dataclasses.dataclass(frozen=True)
class ScoredRows:
    """The rows of a scored file, in the order of a split.

    Attributes:
        probabilities: float32 `[N, L]`; NaN for an image without scores.
        logits: float32 `[N, L]`, likewise; None where the file has none.
        decisions: bool `[N, L]`; False for an image without scores.
        missing: indices of the images without scores: they failed, or are not in the file.
    """

    probabilities: np.ndarray
    logits: np.ndarray | None
    decisions: np.ndarray
    missing: list[int]


def read_scored_file(
    path: str, image_paths: Sequence[str], label_names: Sequence[str]
) -> ScoredRows:
    """The rows of a scored file that belong to the images of a split.

    An image is found by its path or, where the file was written elsewhere, by the end of it:
    folder and file name, or the file name where the file gives no folder.

    Args:
        path: `.parquet`, `.csv` or `.jsonl`, written by score.py.
        image_paths: N images of the split; the file may hold more.
        label_names: L labels of the split; the file must hold exactly these.

    Raises:
        DatasetError: the file cannot be read, or is of other labels.
    """
    rows = _read_rows(path)
    columns = _label_columns(path, rows[0], label_names)
    row_of = _row_finder([row["image"] for row in rows])
    logit_columns = [_LOGIT_PREFIX + name for name in label_names]
    columns += [name for name in logit_columns if set(logit_columns) <= set(rows[0])]
    values = np.full((len(image_paths), len(columns)), np.nan, np.float32)
    decisions = np.zeros((len(image_paths), len(label_names)), bool)
    missing = []
    for index, image in enumerate(image_paths):
        number = row_of(name_of(image))
        if number is None or rows[number]["status"] != "ok":
            missing.append(index)
            continue
        row = rows[number]
        try:
            values[index] = [row[column] for column in columns]
            decided = set(row["decisions"])
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{path}, row {number + 1}: a probability, logit or decision is missing: {error}."
            ) from error
        decisions[index] = [name in decided for name in label_names]
    probabilities, logits = np.split(values, [len(label_names)], axis=1)
    return ScoredRows(probabilities, logits if logits.size else None, decisions, missing)


def _read_rows(path: str) -> list[dict[str, Any]]:
    reader = _READERS.get(Path(path).suffix)
    if reader is None:
        raise DatasetError(f"{path}: expected one of {', '.join(_READERS)}, written by score.py.")
    try:
        rows = reader(path)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # Also what json, csv and pyarrow raise for damaged files.
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    if not rows:
        raise DatasetError(f"{path}: {_EXPECTED}, got no row.")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not {"status", "decisions"} <= row.keys():
            found = list(row)[:6] if isinstance(row, dict) else row
            raise DatasetError(f"{path}, row {number}: {_EXPECTED}, got {found}.")
        if not isinstance(row.get("image"), str):
            raise DatasetError(
                f"{path}, row {number}: {_EXPECTED}, got the image {row.get('image')!r}."
            )
    return rows


def _read_parquet(path: str) -> list[dict[str, Any]]:
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


def _read_csv(path: str) -> list[dict[str, Any]]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    for row in rows:
        row["decisions"] = _split_names(row.get("decisions") or "")
    return rows


def _read_json_lines(path: str) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


_READERS = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_json_lines}


def _split_names(text: str) -> list[str]:
    r"""Names joined by `|`, where a name's own `|` is written `\|` and its `\` as `\\`.

    A `\` before any other character is itself: so older files have it.
    """
    names = re.findall(r"(?:\\.|[^|\\])+\\?", text, re.DOTALL)
    return [re.sub(r"\\([\\|])", r"\1", name) for name in names]


def _label_columns(path: str, row: Mapping[str, Any], label_names: Sequence[str]) -> list[str]:
    """The column of every label."""
    columns = []
    for name in label_names:
        prefixed = _LABEL_PREFIX + name
        columns.append(prefixed if name in _COLUMNS and prefixed in row else name)
    missing = [column for column in columns if column not in row]
    known = {*columns, *_COLUMNS}
    extra = [name for name in row if name not in known and not name.startswith(_OF_LABELS)]
    if missing and extra == ["top"]:
        raise DatasetError(
            f"{path} was written with --top_k, which leaves out most labels. Score the images again"
            " without it."
        )
    if missing or extra:
        raise DatasetError(
            f"{path} holds other labels than the split. Missing there: {missing or 'none'}. Not in"
            f" the split: {extra or 'none'}. Score with a model of these labels."
        )
    return columns


def _row_finder(images: Sequence[str]):
    """A function from the path of an image to the number of its row, or None."""
    by_path = {os.path.abspath(image): number for number, image in enumerate(images)}
    by_ending: dict[str, list[int]] = {}
    for number, image in enumerate(images):
        by_ending.setdefault(_ending(image), []).append(number)

    def row_of(image: str) -> int | None:
        number = by_path.get(os.path.abspath(image))
        if number is not None:
            return number
        for ending in (_ending(image), os.path.basename(image)):
            if len(by_ending.get(ending, ())) == 1:
                return by_ending[ending][0]
        return None

    return row_of


def _ending(path: str) -> str:
    """Folder and name of a file, or its name where it is written without a folder.

    Names alone will not do: train/000000.png is another image than test/000000.png.
    """
    return "/".join(Path(path).parts[-2:])
