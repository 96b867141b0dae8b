"""JSON files read with errors that name the file and what is wrong with it."""

import json
import os
from typing import Any


class JSONFileError(ValueError):
    """A file that is no JSON, or no JSON that can be read; the message says where and why."""


def read_json_file(path: str | os.PathLike) -> Any:
    """The contents of a JSON file.

    Raises:
        OSError: when the file is missing or cannot be opened.
        JSONFileError: when it is cut short, damaged, no UTF-8, nested too deeply, or holds a
            number that is too long.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except json.JSONDecodeError as error:
        raise JSONFileError(
            f"{path}, line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})."
            " The file may be cut short; download or write it again."
        ) from error
    except UnicodeDecodeError as error:
        raise JSONFileError(
            f"{path}: not UTF-8 text at byte {error.start}. Save it as UTF-8."
        ) from error
    except RecursionError as error:
        raise JSONFileError(f"{path}: nested too deeply to be read.") from error
    # Python refuses to turn thousands of digits into a number; nothing else is left.
    except ValueError as error:
        raise JSONFileError(f"{path}: not usable JSON: a number is too long ({error}).") from error
