"""A full disk told as such, whichever library met it."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator

from export.building.config import ExportConfig
from export.files.atomic_file import WriteError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_TEXTS = tuple(os.strerror(code) for code in _NO_ROOM)
_MEBIBYTE = 1 << 20


@contextlib.contextmanager
def name_full_disk(config: ExportConfig) -> Iterator[None]:
    """Turns what TensorFlow, ONNX Runtime or the system say of a full disk into one message.

    Args:
        config: Where the export writes.

    Raises:
        WriteError: when the body met a full disk; other exceptions pass unchanged.
    """
    try:
        yield
    except Exception as error:
        if not _is_full_disk(error):
            raise
        raise WriteError(errno.ENOSPC, _describe(config), config.bundle_dir) from error


def _is_full_disk(error: Exception) -> bool:
    """TensorFlow and ONNX Runtime have exceptions of their own, with the system's text inside."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return any(text in str(error) for text in _TEXTS)


def _describe(config: ExportConfig) -> str:
    """Room is measured after the half bundle was removed: it is what the export can use."""
    places = [config.bundle_dir, config.triton_repository, tempfile.gettempdir()]
    rooms = [f"{_free(place)} MiB free for {place!r}" for place in places if place]
    return (
        f"Cannot export to {config.bundle_dir!r}: a disk has no room. Without the half bundle,"
        f" which was removed, there are {', '.join(rooms)} (temporary files). An older bundle is"
        " as it was. Make room, or choose another disk: by --bundle_dir or --triton_repository, for"
        " temporary files by TMPDIR."
    )


def _free(path: str) -> int:
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free // _MEBIBYTE
