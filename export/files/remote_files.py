"""Files and folders by URL, through fsspec (s3://, gs:// ...), or by a local path alike."""

import os
import re
from typing import Any

from export.files.atomic_file import replace_file

_URL = re.compile(r"[a-z][a-z0-9+.-]*://")


def is_url(path: str) -> bool:
    """Whether a path begins with a protocol."""
    return _URL.match(path) is not None


def local_path(path: str) -> str:
    """The path of a local file that is named by its path or as `file://`; else what was given."""
    return path.removeprefix("file://").removeprefix("local://")


def open_storage(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises:
        ValueError: when fsspec, or its package for this storage, is not installed.
    """
    try:
        # Imported here: a scoring host with local files does not need it.
        import fsspec

        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ValueError(
            f"{url!r} cannot be opened: {error}. Install fsspec and its package for this storage,"
            " such as s3fs, gcsfs or (for folders by http) aiohttp:"
            " pip install -r requirements-ray.txt s3fs."
        ) from error


def read_file(path: str) -> bytes:
    """The bytes of a file. Raises FileNotFoundError, or what its storage raises."""
    path = local_path(path)
    if is_url(path):
        storage, name = open_storage(path)
        return storage.cat_file(name)
    with open(path, "rb") as file:
        return file.read()


def write_file(path: str, data: bytes) -> None:
    """Writes a file that appears whole or not at all.

    A local file takes its place at once; object storage shows an object when all of it is there.
    """
    path = local_path(path)
    if is_url(path):
        storage, name = open_storage(path)
        storage.pipe_file(name, data)
    else:
        with replace_file(path) as file:
            file.write(data)


def make_folder(path: str) -> None:
    """Makes a folder and those above it; object storage needs none."""
    path = local_path(path)
    if is_url(path):
        storage, name = open_storage(path)
        storage.makedirs(name, exist_ok=True)
    else:
        os.makedirs(path, exist_ok=True)


def list_folder(path: str) -> list[str]:
    """Names of the files directly in a folder, sorted; none for a folder that does not exist."""
    path = local_path(path)
    if is_url(path):
        storage, name = open_storage(path)
        storage.invalidate_cache(name)
        found = storage.ls(name, detail=False) if storage.isdir(name) else []
    else:
        found = os.listdir(path) if os.path.isdir(path) else []
    return sorted(name.rstrip("/").rpartition("/")[2] for name in found)


def find_files(url: str) -> list[str]:
    """URLs of all files below a folder, sorted.

    Raises:
        ValueError: when the storage cannot be opened or read.
    """
    storage, name = open_storage(url)
    try:
        found = storage.find(name)
    except Exception as error:  # Each kind of storage raises its own types.
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"The folder {url!r} cannot be read: {reason}") from error
    return sorted(storage.unstrip_protocol(path) for path in found)
