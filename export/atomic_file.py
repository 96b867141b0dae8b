"""Files that appear whole or not at all, and survive a power cut once they have appeared."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO


@contextlib.contextmanager
def replace_file(path: str) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the body ends without exception.

    Raises:
        ValueError: when the folder cannot be written.
        OSError: when writing fails (a full disk); an older file stays as it was.
    """
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f".{name}.{os.getpid()}.partial")
    try:
        file = open(partial, "wb")
    except OSError as error:
        raise ValueError(f"Cannot write in the folder of {path!r}: {error.strerror}.") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        os.remove(partial)
        raise
    sync_folder(folder or ".")


def sync_folder(folder: str) -> None:
    """Makes the names in a folder last, as fsync does for the contents of a file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: str, value: Any) -> None:
    """Replaces `path` by `value` as JSON."""
    with replace_file(path) as file:
        file.write(json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")
