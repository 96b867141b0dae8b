"""One process per folder: a lock that the system drops when its process dies."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

LOCK_FILE = "lock"


@contextlib.contextmanager
def lock_folder(
    folder: str, use: str = "writes to this output", flag: str = "--output"
) -> Iterator[None]:
    """Holds the lock of a folder, which must exist, while the body runs.

    `flock` belongs to the process: after kill -9 or a reboot nobody holds it, so a lock file that
    was left behind is no obstacle.

    Args:
        folder: The folder.
        use: What a job does that holds it, for the message.
        flag: The flag that names another one.

    Raises:
        ValueError: when a living process holds it; the message names that process.
        OSError: when the file system has no locks.
    """
    descriptor = _acquire(os.path.join(folder, LOCK_FILE), folder, use, flag)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(path: str, folder: str, use: str, flag: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have removed the file after it was opened here.
            if _is_same_file(descriptor, path):
                return descriptor
        except BlockingIOError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise ValueError(
                f"Another job {use} now: {holder} holds {folder!r}. Wait for it, or give another"
                f" {flag}."
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_same_file(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
