"""Files that appear whole or not at all, and survive a power cut once they have appeared."""

import contextlib
import ctypes
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO

_WRITING_FAILED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class WriteError(OSError):
    """A file could not be written; the message says which, why, and what room its disk has."""

    def __str__(self) -> str:
        return self.strerror


@contextlib.contextmanager
def replace_file(path: str) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the body ends without exception.

    Raises:
        ValueError: when the folder cannot be written.
        WriteError: when writing fails (a full disk); an older file stays as it was.
    """
    folder, name = os.path.split(path)
    # Not the number of the process: two hosts with one folder may have the same.
    partial = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.partial")
    try:
        file = open(partial, "xb")
    except OSError as error:
        raise ValueError(f"Cannot write in the folder of {path!r}: {error.strerror}.") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        os.remove(partial)
        # An error that names a file is of reading another one, or of a file inside this body.
        if isinstance(error, OSError) and error.errno in _WRITING_FAILED and not error.filename:
            raise _write_error(error, path, folder or ".") from error
        raise
    sync_folder(folder or ".")


def _write_error(error: OSError, path: str, folder: str) -> WriteError:
    disk, mebibyte = shutil.disk_usage(folder), 1 << 20
    message = (
        f"Cannot write {path!r}: {error.strerror}. Its disk has"
        f" {disk.free // mebibyte} of {disk.total // mebibyte} MiB free."
    )
    return WriteError(error.errno, message, path)


def remove_partial_files(path: str) -> None:
    """Removes what killed processes left of `path`; none may be writing it now."""
    folder, name = os.path.split(path)
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]+\.partial")
    for partial in filter(pattern.fullmatch, os.listdir(folder or ".")):
        os.remove(os.path.join(folder, partial))


def sync_folder(folder: str) -> None:
    """Makes the names in a folder last, as fsync does for the contents of a file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: str) -> None:
    """Makes all files last that were written on the file system of a folder; no other is flushed.

    For many small files, where one fsync each would take longer than writing them.

    Raises:
        OSError: when the folder cannot be opened, or its disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Python does not have it; outside of Linux there is only the flush of all disks.
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", lambda _: os.sync())
        if syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
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
