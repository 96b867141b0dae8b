"""Files that appear whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator


def write_atomically(path: str, contents: bytes | memoryview) -> None:
    """Writes a file that appears whole or not at all; a full disk leaves the previous one."""
    with written_beside(path, contents) as partial:
        os.replace(partial, path)


@contextlib.contextmanager
def written_beside(path: str, contents: bytes | memoryview) -> Iterator[str]:
    """A file beside `path` that holds the contents, on the disk; what is left of it goes.

    Raises:
        OSError: naming the file, where the system does not.
    """
    with _partial(path) as partial:
        try:
            with open(partial, "wb") as stream:
                stream.write(contents)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        yield partial


def link_atomically(source: str, path: str) -> None:
    """Makes `path` the file `source`, which is replaced as a whole and never changed."""
    with _partial(path) as partial:
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)  # No hard links on this file system.
        os.replace(partial, path)


@contextlib.contextmanager
def _partial(path):
    partial = f"{path}.{os.getpid()}.partial"
    try:
        yield partial
    finally:
        if os.path.exists(partial):
            os.remove(partial)
