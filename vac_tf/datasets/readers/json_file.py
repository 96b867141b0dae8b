"""JSON annotation files, read with errors that say where the file is broken."""

import json
import os
from typing import Any

from vac_tf.datasets.split import DatasetError


def read_json_object(path: str | os.PathLike, keys: tuple[str, ...]) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: the file.
        keys: keys that the object must have.

    Raises:
        DatasetError: when the file is no JSON object with these keys; a file cut short or
            damaged is named with line and column.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {path}.") from error
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}, line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})."
            " The file may be cut short; download or write it again."
        ) from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text at byte {error.start}.") from error
    if not isinstance(content, dict):
        raise DatasetError(
            f"{path}: expected a JSON object with the keys {', '.join(keys)},"
            f" got a {type(content).__name__}."
        )
    missing = [key for key in keys if key not in content]
    if missing:
        raise DatasetError(f"{path}: the keys {missing} are missing; found {sorted(content)[:20]}.")
    return content
