"""One training per run folder: a lock that the system drops when its process dies."""

import contextlib
import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator

LOCK_FILE = "lock"

_LOGGER = logging.getLogger(__name__)
# What file systems without locks answer.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@contextlib.contextmanager
def lock_run(run_dir: str, flag: str = "--run_dir") -> Iterator[None]:
    """Holds the lock of a run folder, which must exist, while the body runs.

    `flag` is what names the folder on the command line.

    The file stays, empty, so that nobody can lock one that another process has just removed. Where
    the file system has no locks, a warning says that nothing keeps a second process away.

    Raises:
        ValueError: when a living process holds it; the message names that process.
        OSError: the lock file, which is named, cannot be written.
    """
    path = os.path.join(run_dir, LOCK_FILE)
    with open(path, "a+b", buffering=0) as stream:
        try:
            _acquire(stream, run_dir, flag)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _LOGGER.warning(
                "%s: %s. Start no second training in this folder.", run_dir, error.strerror
            )
        stream.truncate(0)
        try:
            stream.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        try:
            yield
        finally:
            stream.truncate(0)


def refuse_if_locked(run_dir: str, flag: str = "--run_dir") -> None:
    """Raises ValueError, as `lock_run` does, when a living process trains in `run_dir` now."""
    try:
        stream = open(os.path.join(run_dir, LOCK_FILE), "r+b", buffering=0)
    except OSError:
        return  # Never trained in, or not writable, which claiming the folder reports.
    with stream:
        try:
            _acquire(stream, run_dir, flag)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise


def _acquire(stream, run_dir, flag):
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.seek(0)
        holder = stream.read(200).decode(errors="replace") or "another process"
        raise ValueError(
            f"{holder} trains in {run_dir!r} now. Wait for it, or give another {flag}."
        ) from error
