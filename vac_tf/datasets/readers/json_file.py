"""JSON annotation files, read with errors that say where the file is broken."""

import os
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
