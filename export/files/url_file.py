"""One file by URL, read in bounded time, attempts and size."""

import functools
import random
import time

from export.files import http_file
from export.files.daemon_threads import call_within
from export.files.read_limits import FileTooLargeError, ReadLimits
from export.files.remote_files import open_storage

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
    read = http_file.read_http if http_file.is_http(url) else _read_storage
    for attempt in range(limits.retries + 1):
        if attempt:
            # Not all at once: a server that was overrun would be so again.
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
        try:
            return call_within(limits.seconds, functools.partial(read, url, limits))
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
