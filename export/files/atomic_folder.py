"""Folders that appear whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replace_folder(folder: str, marker: str, kind: str) -> Iterator[str]:
    """Hands out a temporary folder beside `folder` that takes its place at the end.

    An exception in the body leaves no new folder, and an older one as it was.

    Args:
        folder: The folder to write.
        marker: File that every such folder has: only an empty folder or one with it is replaced.
        kind: What it is, for messages.

    Raises:
        ValueError: when `folder` holds something else, or cannot be written.
    """
    folder = os.path.abspath(folder)
    if os.path.exists(folder) and not _is_replaceable(folder, marker):
        raise ValueError(
            f"{folder!r} exists and is no {kind}. Choose a new folder, or one that holds {marker}."
        )
    parent, name = os.path.split(folder)
    try:
        os.makedirs(parent, exist_ok=True)
        temporary = tempfile.mkdtemp(prefix=f".{name}.", dir=parent)
    except OSError as error:
        raise ValueError(f"Cannot write beside {folder!r}: {error}") from error
    try:
        new = os.path.join(temporary, "new")
        os.mkdir(new)
        yield new
        if os.path.exists(folder):
            os.rename(folder, os.path.join(temporary, "old"))
        os.rename(new, folder)
    finally:
        shutil.rmtree(temporary)


def _is_replaceable(folder: str, marker: str) -> bool:
    return os.path.isdir(folder) and (
        not os.listdir(folder) or os.path.isfile(os.path.join(folder, marker))
    )
