"""One `ScoringInput` per row to score, and where they come from."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from export.files.remote_files import is_url

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp")
    # Not supported, but an image that the user put there: it gets a row that says so.
    + (".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2")
)
BOX_COLUMNS = ("x", "y", "w", "h")


@dataclasses.dataclass(frozen=True, slots=True)
class ScoringInput:
    """One row to score.

    Attributes:
        image: The path as given: the identity of the row.
        path: The file to open.
        box: x, y, width, height in pixels, or None for the whole image.
        problem: Why this row of a list cannot be read, or None.
        member: First byte and number of bytes of the image inside the file `path`, or None for
            the whole file.
        data: The encoded image itself, where it came with a request instead of from a file.
    """

    image: str
    path: str
    box: tuple[float, ...] | None = None
    problem: str | None = None
    member: tuple[int, int] | None = None
    data: bytes | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True)
class Source:
    """Inputs that can be counted and then read in order.

    Attributes:
        count: Number of rows.
        sha256: Hash of all rows in order: paths as given, and boxes.
        read: Starts a new pass over the rows.
        has_boxes: Whether rows may carry a box.
        left_out: Files of a folder that were left out for their suffix.
        start: Absolute folder (or URL) from which relative paths start; empty where none is.
        has_members: Whether rows may be members of a tar.
        failed_before: How many rows an earlier job gave no scores, and are as they were.
    """

    count: int
    sha256: str
    read: Callable[[], Iterator[ScoringInput]]
    has_boxes: bool = False
    left_out: int = 0
    start: str = ""
    has_members: bool = False
    failed_before: int = 0

    @classmethod
    def survey(
        cls, read: Callable[[], Iterator[ScoringInput]], start: str = "", **facts: Any
    ) -> "Source":
        """A source whose rows were counted and hashed in one pass.

        Args:
            read: Starts a pass over the rows.
            start: Folder or URL from which relative paths start; default: the current folder.
            facts: As the attributes.
        """
        digest, count, has_relative = hashlib.sha256(), 0, False
        for row in read():
            count += 1
            has_relative = has_relative or not (os.path.isabs(row.image) or is_url(row.image))
            digest.update(repr((row.image, row.box, row.problem is None, row.member)).encode())
        start = _public(start) if is_url(start) else os.path.abspath(start)
        return cls(count, digest.hexdigest(), read, start=start if has_relative else "", **facts)


def _public(url: str) -> str:
    """A URL without the password and the signature that it may hold: manifests are passed on."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def select(inputs: Iterable[ScoringInput], rows: Iterable[int]) -> Iterator[ScoringInput]:
    """The inputs of some rows (ascending, from 0); reads no further than the last of them."""
    numbers = iter(rows)
    wanted = next(numbers, None)
    for number, value in enumerate(inputs):
        if wanted is None:
            return
        if number == wanted:
            yield value
            wanted = next(numbers, None)
