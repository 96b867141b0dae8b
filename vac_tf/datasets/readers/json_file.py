"""JSON annotation files, read with errors that say where the file is broken."""

import os
import sys
from typing import Any

from vac_tf.datasets.split import DatasetError
from vac_tf.runs.json_reading import JSONFileError, read_json_file


def read_json_object(path: str | os.PathLike, keys: tuple[str, ...]) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: the file.
        keys: keys that the object must have.

    Raises:
        DatasetError: when the file is no JSON object with these keys; a file cut short or
            damaged is named with line and column.
    """
    content = read_annotations(path)
    if not isinstance(content, dict):
        raise DatasetError(
            f"{path}: expected a JSON object with the keys {', '.join(keys)},"
            f" got a {type(content).__name__}."
        )
    missing = [key for key in keys if key not in content]
    if missing:
        raise DatasetError(f"{path}: the keys {missing} are missing; found {sorted(content)[:20]}.")
    return content


def read_json_tables(path: str | os.PathLike, keys: tuple[str, ...]) -> list[list[dict[str, Any]]]:
    """The lists of objects that a JSON file in COCO's manner holds, in the order of `keys`.

    Raises:
        DatasetError: as `read_json_object`, and where a key holds something else.
    """
    content = read_json_object(path, keys)
    for key in keys:
        rows = content[key]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DatasetError(f"{path}: {key!r} must be a list of objects.")
    return [content[key] for key in keys]


def identifier(value: Any) -> int | str | None:
    """An id as it is compared: a number, also one written as text, or another text; else None."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    is_usable = isinstance(value, (int, str)) and not isinstance(value, bool) and value != ""
    return value if is_usable else None


def is_number(value: Any) -> bool:
    """Whether it is a finite number that float64 can hold: JSON's integers may be of any size."""
    return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max


def is_box(value: Any) -> bool:
    """Whether it is a list of four finite numbers."""
    return isinstance(value, list) and len(value) == 4 and all(is_number(side) for side in value)


def read_annotations(path: str | os.PathLike) -> Any:
    """Whatever a JSON file of a data set holds.

    Raises:
        DatasetError: when the file is missing or damaged.
    """
    try:
        return read_json_file(path)
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {path}.") from error
    except JSONFileError as error:
        raise DatasetError(str(error)) from error
