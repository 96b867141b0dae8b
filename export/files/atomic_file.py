"""Files that appear whole or not at all, and survive a power cut once they have appeared."""

import contextlib
import json
import os
import re
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


def remove_partial_files(path: str) -> None:
    """Removes what killed processes left of `path`; none may be writing it now."""
    folder, name = os.path.split(path)
    pattern = re.compile(rf"\.{re.escape(name)}\.\d+\.partial")
    for partial in filter(pattern.fullmatch, os.listdir(folder or ".")):
        os.remove(os.path.join(folder, partial))


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
        file.write(to_json(value))


def to_json(value: Any) -> bytes:
    """`value` as the text of a file; bytes of a path that are not UTF-8 become escapes."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return text.encode(errors="backslashreplace") + b"\n"
