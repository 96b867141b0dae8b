"""Folders that appear whole or not at all."""

import contextlib
import ctypes
import errno
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator

from export.files.atomic_file import sync_folder
from export.files.folder_lock import lock_folder

_SUFFIX = ".partial"
_NEW, _OLD = "new", "old"
# Of renameat2(2), which Python does not offer.
_CURRENT_FOLDER = -100
_EXCHANGE = 2
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def replace_folder(folder: str, marker: str, kind: str) -> Iterator[str]:
    """Hands out a temporary folder beside `folder` that takes its place at the end.

    An exception in the body, or in the exchange, leaves an older folder as it was. What killed
    processes left of such temporary folders is removed at the start.

    Args:
        folder: The folder to write; of a link, what it leads to.
        marker: File that every such folder has: only an empty folder or one with it is replaced.
        kind: What it is, for messages.

    Raises:
        ValueError: when `folder` holds something else, or cannot be written.
        OSError: when the new folder cannot take its place.
    """
    folder = os.path.realpath(folder)
    parent, name = os.path.split(folder)
    if os.path.isdir(parent):
        _remove_leftovers(folder)
    if os.path.lexists(folder) and not _is_replaceable(folder, marker):
        raise ValueError(
            f"{folder!r} exists and is no {kind}. Choose a new folder, or one that holds {marker}."
        )
    with contextlib.ExitStack() as lock:
        try:
            os.makedirs(parent, exist_ok=True)
            temporary = _new_temporary(parent, name, lock)
        except OSError as error:
            raise ValueError(f"Cannot write beside {folder!r}: {error}") from error
        new, old = (os.path.join(temporary, part) for part in (_NEW, _OLD))
        try:
            os.mkdir(new)
            yield new
            _sync_tree(new)
            _put_in_place(new, folder, old)
            sync_folder(parent)
        finally:
            if _is_only_one(old, folder):
                _logger.error("The older %s lies in %s now; the next call puts it back.", kind, old)
            else:
                _remove(temporary)


def exchange(first: str, second: str) -> bool:
    """Exchanges two paths in one step, so that neither is missing at any time.

    Returns:
        Whether the system and the file system can do so; if not, nothing has changed.

    Raises:
        OSError: when they can, and it fails.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    paths = os.fsencode(first), os.fsencode(second)
    if not renameat2(_CURRENT_FOLDER, paths[0], _CURRENT_FOLDER, paths[1], _EXCHANGE):
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), second)


def _put_in_place(new: str, folder: str, old: str) -> None:
    """Moves `new` to `folder`; what was there goes into the temporary folder of `new`."""
    if not os.path.lexists(folder):
        os.rename(new, folder)
        return
    if exchange(new, folder):
        return
    os.rename(folder, old)
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise


def _is_only_one(old: str, folder: str) -> bool:
    """Whether the older folder was put aside and nothing took its place."""
    return os.path.lexists(old) and not os.path.lexists(folder)


def _new_temporary(parent: str, name: str, lock: contextlib.ExitStack) -> str:
    """A folder whose lock `lock` holds, so that no other process takes it for a leftover."""
    while True:
        temporary = tempfile.mkdtemp(prefix=f".{name}.", suffix=_SUFFIX, dir=parent)
        try:
            lock.enter_context(lock_folder(temporary))
            return temporary
        except (ValueError, FileNotFoundError):
            continue  # Another process took it for a leftover before it was locked.
        except OSError:
            return temporary  # A file system without locks, on which nothing is swept.


def _remove_leftovers(folder: str) -> None:
    """Removes the temporary folders of processes that died, which hold no lock any more."""
    parent, name = os.path.split(folder)
    pattern = re.compile(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}{re.escape(_SUFFIX)}")
    for leftover in sorted(filter(pattern.fullmatch, os.listdir(parent))):
        path = os.path.join(parent, leftover)
        try:
            with lock_folder(path):
                old = os.path.join(path, _OLD)
                if _is_only_one(old, folder):
                    os.rename(old, folder)
                _remove(path)
        except (ValueError, OSError) as error:
            _logger.info("%s stays: %s", path, error)


def _remove(temporary: str) -> None:
    """Removes a temporary folder; what cannot be removed is left to the next call."""
    shutil.rmtree(
        temporary,
        onerror=lambda function, path, information: _logger.warning(
            "Cannot remove %s: %s", path, information[1]
        ),
    )


def _sync_tree(folder: str) -> None:
    """Makes contents and names below a folder last; what links lead to lies elsewhere."""
    for parent, _, names in os.walk(folder):
        for path in (os.path.join(parent, name) for name in names):
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
        sync_folder(parent)


def _is_replaceable(folder: str, marker: str) -> bool:
    return os.path.isdir(folder) and (
        not os.listdir(folder) or os.path.isfile(os.path.join(folder, marker))
    )
