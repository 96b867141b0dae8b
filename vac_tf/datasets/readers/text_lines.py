"""Text files of annotations, line by line."""

import os
from collections.abc import Iterator

from vac_tf.datasets.split import DatasetError


def text_lines(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, without white space around, and their numbers.

    Raises:
        DatasetError: when the file is missing or is no UTF-8 text.
    """
    line = 0
    try:
        with open(path, encoding="utf-8-sig") as file:
            for line, text in enumerate(file, 1):
                if text.strip():
                    yield line, text.strip()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DatasetError(f"There is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}, after line {line}: not UTF-8 text (byte {error.object[error.start]:#04x})."
        ) from error
