"""Where the images of a run are kept once they are decoded: in memory, or in a folder."""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from vac_tf.inputs.picture_file import MappedPictures, NoRoomError, write_pictures

_LOGGER = logging.getLogger(__name__)
_GIB = 2**30
# What file systems without locks answer.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@dataclasses.dataclass(frozen=True)
class ImageCache:
    """Whether, where and as what the images of a split are kept; no pixel depends on it.

    Attributes:
        kind: `"none"` decodes at every use; `"memory"` and `"disk"` once, when they are filled.
        folder: Of the files of `"disk"`, one a split. Any of them may be deleted.
        content: `"photographs"`, decoded, turned and cropped, which are resized at every use; or
            `"inputs"`, resized to `sizes`.
        sizes: Heights and widths in pixels of the inputs.
    """

    kind: str = "none"
    folder: str = ""
    content: str = "photographs"
    sizes: tuple[int, ...] = ()


NO_CACHE = ImageCache()


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What is to be kept: of each of `num_rows` rows `num_columns` arrays `[H, W, 3]`.

    Attributes:
        name: For messages.
        make: Called with a row, in threads.
        dtype: `"uint8"` or `"float32"`.
        row_bytes: Of the pictures of each row, where that is known before they are made.
    """

    name: str
    num_rows: int
    num_columns: int
    make: Callable[[int], Sequence[np.ndarray]]
    dtype: str
    row_bytes: int = 0


def keep_in_memory(pictures: Pictures) -> MappedPictures:
    """Makes all pictures now, and keeps them in the memory of this process.

    Raises:
        ValueError: they take more than this host has.
    """
    room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if hasattr(os, "memfd_create"):
        stream = open(os.memfd_create("images"), "w+b")
    else:  # Not Linux: a file without a name, which goes with this process.
        stream = tempfile.TemporaryFile()
    with stream:
        _write(stream, pictures, room, "the memory of this host", "use --cache=disk")
        return _mapped(stream, pictures)


def keep_on_disk(pictures: Pictures, folder: str, key: str) -> MappedPictures:
    """The pictures of a file in `folder`, which is written first where it is not there or torn.

    Of several processes one writes it, and the others wait for it.

    Args:
        pictures: What to keep.
        folder: Is made where it is missing.
        key: Everything that the pictures depend on.

    Raises:
        ValueError: there is too little room in the folder.
        OSError: the file cannot be written; nothing of it is left.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, hashlib.sha256(key.encode()).hexdigest()[:32] + ".pictures")
    found = _open_whole(path, pictures)
    if found is None:
        with _locked(f"{path}.partial") as stream:
            try:
                found = _open_whole(path, pictures)
                if found is None:
                    _write_named(stream, pictures, folder)
                    os.replace(stream.name, path)
                    found = _mapped(stream, pictures)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(stream.name)
    return found


def _open_whole(path, pictures):
    try:
        with open(path, "rb") as stream:
            return _mapped(stream, pictures)
    except FileNotFoundError:
        return None
    except ValueError as error:
        _LOGGER.warning("%s It is written anew.", error)
        return None


def _mapped(stream, pictures):
    return MappedPictures(stream, (pictures.num_rows, pictures.num_columns), pictures.dtype)


def _write_named(stream, pictures, folder):
    room = shutil.disk_usage(folder).free
    try:
        stream.truncate(0)
        advice = "choose a --cache_dir with more room"
        _write(stream, pictures, room, f"what is free in {folder!r}", advice)
    except OSError as error:
        reason = f"{error.strerror} (the image cache is being written)"
        raise OSError(error.errno, reason, folder) from error


def _write(stream, pictures, room, place, advice):
    _LOGGER.info("Filling the cache with the %d images of %s.", pictures.num_rows, pictures.name)
    try:
        if pictures.num_rows * pictures.row_bytes > room:
            raise NoRoomError(room // pictures.row_bytes)
        size = write_pictures(stream, pictures.num_rows, pictures.make, pictures.dtype, room)
    except NoRoomError as error:
        raise ValueError(
            f"The image cache does not fit: {error.finished_rows} of the {pictures.num_rows} images"
            f" of {pictures.name} fill {place}, {room / _GIB:.3g} GiB; {advice}, --cache=none,"
            " --max_images, or (with --cache_content=inputs) --round_inputs."
        ) from error
    _LOGGER.info("It takes %.3g GiB.", size / _GIB)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[BinaryIO]:
    """A file of that name, open for writing, that no other process has at the same time.

    The lock goes with the process: what a killed one left is taken over.
    """
    while True:
        stream = open(path, "r+b", opener=_open_or_make)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _LOGGER.info("Waiting for the process that fills the image cache, %s.", path)
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            stream.close()
            stream = open(f"{path}.{os.getpid()}", "w+b")
            break
        # Another process may have renamed or removed it in the meantime.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(path)):
                break
        stream.close()
    with stream:
        yield stream


def _open_or_make(path, flags):
    return os.open(path, flags | os.O_CREAT, 0o666)
