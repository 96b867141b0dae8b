"""Images that lie inside other files, shards of a tar or of an Arrow table: paths that say where.

Such a path is `FILE@OFFSET+LENGTH/NAME`, as in `train-000.tar@1536+20480/cat.jpg`: a file that ends
in `.tar` or `.arrow`, the first byte of the image in it, its number of bytes, and its name. It is
an ordinary text that ends in the image's own name. All other paths are those of files.
"""

import io
import os
import re
from typing import BinaryIO, NamedTuple

_PACKED = re.compile(
    r"(?P<file>.+\.(?:tar|arrow))@(?P<offset>[0-9]{1,18})\+(?P<length>[0-9]{1,18})/(?P<name>.+)",
    re.DOTALL,
)


class Place(NamedTuple):
    """Where an image lies: in which file, from which byte on, and how many bytes of it."""

    file: str
    offset: int
    length: int


def packed_path(file: str | os.PathLike, offset: int, length: int, name: str) -> str:
    """The path of an image that takes `length` bytes of a file, from byte `offset` on.

    Raises:
        ValueError: a file of another suffix, or a name that would be read as another place.
    """
    path = f"{file}@{offset}+{length}/{name}"
    if place_of(path) != Place(str(file), offset, length):
        raise ValueError(f"{path!r} is not FILE.tar@OFFSET+LENGTH/NAME.")
    return path


def place_of(path: str) -> Place | None:
    """Where the image of a path lies; None for a file of its own."""
    found = _PACKED.fullmatch(path)
    return Place(found["file"], int(found["offset"]), int(found["length"])) if found else None


def file_of(path: str) -> str:
    """The file that is to be opened for a path."""
    place = place_of(path)
    return place.file if place else path


def range_of(path: str) -> tuple[int, int] | None:
    """First byte and number of bytes of an image in `file_of`; None: all of the file."""
    place = place_of(path)
    return place[1:] if place else None


def name_of(path: str) -> str:
    """The path without offset and length, as `score.py` names an image in a tar."""
    found = _PACKED.fullmatch(path)
    return f"{found['file']}/{found['name']}" if found else path


def read_image(path: str) -> bytes:
    """The bytes of an image.

    Raises:
        OSError: its file cannot be read, or ends before the image does.
    """
    place = place_of(path)
    if place is None:
        with open(path, "rb") as file:
            return file.read()
    with open(place.file, "rb") as file:
        data = os.pread(file.fileno(), place.length, place.offset)
    if len(data) != place.length:
        missing = place.length - len(data)
        raise OSError(f"{place.file} ends {missing} bytes before the end of the image")
    return data


def open_image(path: str) -> BinaryIO:
    """An image as a file open for reading; use it in a `with`.

    Raises:
        OSError: as `read_image`.
    """
    return open(path, "rb") if place_of(path) is None else io.BytesIO(read_image(path))
