"""What pictures hold: the SHA-256 of the bytes that a decoder would read."""

import dataclasses
import hashlib
import itertools
import os
import struct
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from export.files.read_limits import ReadLimits
from export.files.remote_files import is_url, local_path
from export.images.image_header import ImageError
from export.scoring.sources.image_file import read_image_file
from export.scoring.sources.input import ScoringInput

_INPUTS_AT_ONCE = 1024
_NONE = bytes(32)  # In place of the hash of what cannot be read.


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """What a file held when it was read.

    Attributes:
        sha256: Of its bytes, 32 bytes; zeros where it cannot be read.
        identity: Size, time of change in nanoseconds and number of the file before that.
    """

    sha256: bytes = _NONE
    identity: tuple[int, int, int] = (0, 0, 0)

    def is_still_in(self, scoring_input: ScoringInput) -> bool:
        """Whether the file was not written or replaced since."""
        return self.sha256 != _NONE and _identity(scoring_input) == self.identity


class Contents:
    """Contents in order, in 56 bytes each: a first job may have millions."""

    _RECORD = struct.Struct("32sqqq")

    def __init__(self) -> None:
        self._records = bytearray()

    def append(self, content: Content) -> None:
        """Adds one."""
        self._records += self._RECORD.pack(content.sha256, *content.identity)

    def __iter__(self) -> Iterator[Content]:
        for sha256, *identity in self._RECORD.iter_unpack(self._records):
            size, changed, number = identity
            yield Content(sha256, (size, changed, number))


def read_contents(
    inputs: Iterable[ScoringInput], limits: ReadLimits, threads: int
) -> Generator[tuple[ScoringInput, Content], None, None]:
    """Inputs in order, each with its content; every file is read whole.

    Args:
        inputs: The inputs.
        limits: What reading a file may take.
        threads: How many files are read at one time.

    Raises:
        ValueError: for an input by URL.
    """
    inputs = iter(inputs)
    with ThreadPoolExecutor(threads) as pool:
        while chunk := list(itertools.islice(inputs, _INPUTS_AT_ONCE)):
            contents = pool.map(lambda scoring_input: _content(scoring_input, limits), chunk)
            yield from zip(chunk, contents, strict=True)


def _content(scoring_input: ScoringInput, limits: ReadLimits) -> Content:
    if is_url(local_path(scoring_input.path)):
        raise ValueError(
            f"--only_new reads every picture to compare it, which {scoring_input.path!r} would"
            " have to be fetched for. Copy the pictures to this host, or leave --only_new out."
        )
    if scoring_input.problem:
        return Content()
    try:
        identity = _identity(scoring_input)
        data = read_image_file(scoring_input.path, scoring_input.member, limits)
    except ImageError:
        return Content()  # The row that the job writes of it says why.
    return Content(hashlib.sha256(data).digest(), identity)


def _identity(scoring_input: ScoringInput) -> tuple[int, int, int]:
    try:
        status = os.stat(local_path(scoring_input.path))
    except (OSError, ValueError):  # Gone, or no path at all: its row says so.
        return (0, 0, 0)
    # Some network file systems number their files up to 2**64.
    return status.st_size, status.st_mtime_ns, status.st_ino & (2**63 - 1)
