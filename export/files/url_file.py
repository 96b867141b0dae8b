"""One file by URL, read in bounded attempts: into memory in bounded time, or into a local file."""

import functools
import os
import random
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from typing import Any

from export.files.daemon_threads import call_within
from export.files.http_file import is_http, open_http, read_http
from export.files.read_limits import FileTooLargeError, ReadLimits
from export.files.remote_files import is_url, local_path, open_storage

FIRST_PAUSE_SECONDS = 0.5
# What another attempt does not change.
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ValueError)


def read_url(url: str, limits: ReadLimits) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: it does not exist.
        FileTooLargeError: it is larger than the limit.
        PermissionError: the server refuses it.
        ValueError: it must not be read (a redirect that is refused), or a package is missing.
        OSError: all attempts failed; says why the last one did.
    """
    read = functools.partial(read_http if is_http(url) else _read_storage, url, limits)
    return _attempt(lambda: call_within(limits.seconds, read), limits)


def copy_here(url: str, limits: ReadLimits) -> str:
    """Copies a file, such as a long list, into a temporary local one; the caller removes it.

    Args:
        url: The file, also of a local path.
        limits: Of attempts and redirects, and of the time that each step may take; neither of the
            size nor of the time of the whole.

    Returns:
        The path of the copy.

    Raises:
        ValueError: when it cannot be read; nothing is left behind.
    """
    descriptor, copy = tempfile.mkstemp()
    os.close(descriptor)
    try:
        _attempt(functools.partial(_copy, url, copy, limits), limits)
    except BaseException as error:
        os.remove(copy)
        if not isinstance(error, Exception):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{url!r} cannot be copied to {copy!r}: {reason}") from error
    return copy


def _attempt(read: Callable[[], Any], limits: ReadLimits) -> Any:
    for attempt in range(limits.retries + 1):
        if attempt:
            # Not all at once: a server that was overrun would be so again.
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
        try:
            return read()
        except _FINAL:
            raise
        except TimeoutError as error:
            reason, cause = f"it took more than {limits.seconds:g} s (--read_seconds)", error
        except Exception as error:  # Each kind of storage raises its own types.
            reason, cause = f"{type(error).__name__}: {error}", error
    raise OSError(f"{limits.retries + 1} attempts failed, the last: {reason}") from cause


def _read_storage(url: str, limits: ReadLimits) -> bytes:
    storage, name = open_storage(url)
    # Not its size first: that would be another request.
    data = storage.cat_file(name, start=0, end=limits.most_bytes + 1)
    if len(data) > limits.most_bytes:
        raise FileTooLargeError(url, limits)
    return data


def _copy(url: str, target: str, limits: ReadLimits) -> None:
    with _open_file(local_path(url), limits) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def _open_file(path: str, limits: ReadLimits) -> Any:
    if is_http(path):
        return open_http(path, limits)
    if is_url(path):
        storage, name = open_storage(path)
        return storage.open(name, "rb")
    if not stat.S_ISREG(os.stat(path).st_mode):  # A pipe would block.
        raise ValueError("it is not a regular file.")
    return open(path, "rb")
