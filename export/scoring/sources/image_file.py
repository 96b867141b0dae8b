"""One input of a scoring job, from its path to the network's input."""

import contextlib
import dataclasses
import os
import stat

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.files.read_limits import DEFAULT_LIMITS, FileTooLargeError, ReadLimits
from export.files.remote_files import is_url, local_path
from export.files.url_file import read_url
from export.images.decoding_memory import Budget, decoding_bytes
from export.images.image_header import ImageError
from export.images.picture import shrink_picture
from export.images.preprocessing import cut_out, fit
from export.scoring.sources.input import ScoringInput


@dataclasses.dataclass(frozen=True)
class ImageView:
    """What the network sees of an image.

    Attributes:
        values: `[height, width, 3]` RGB in 0..255, float32 or uint8 as the model says.
        corners: Its left, top, right, bottom in pixels of the image file (turned as EXIF says,
            where the model wants that).
        picture: The same in at most 512 x 512 pixels, uint8, where asked for.
    """

    values: np.ndarray
    corners: tuple[int, int, int, int]
    picture: np.ndarray | None = None


def load_view(
    scoring_input: ScoringInput,
    preprocessing: Preprocessing,
    with_picture: bool = False,
    budget: Budget | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> ImageView:
    """Reads, decodes, crops and resizes one input.

    Args:
        scoring_input: The input.
        preprocessing: What the model wants.
        with_picture: Whether to keep what the network sees as a picture.
        budget: Memory that decoders share; default: as much as each needs.
        limits: What reading its file may take.

    Raises:
        ImageError: with the status of the row: `bad_row`, `missing`, `unreadable`, `too_large`,
            `unsupported` or `out_of_memory`.
    """
    if scoring_input.problem:
        raise ImageError("bad_row", scoring_input.problem)
    try:
        data = scoring_input.data
        if data is None:
            data = read_image_file(scoring_input.path, scoring_input.member, limits)
        needed = decoding_bytes(data, preprocessing, scoring_input.box)
        with budget.hold(needed) if budget else contextlib.nullcontext():
            pixels, corners = cut_out(data, preprocessing, scoring_input.box)
            picture = shrink_picture(pixels) if with_picture else None
            return ImageView(fit(pixels, preprocessing), corners, picture)
    except MemoryError as error:
        raise ImageError(
            "out_of_memory",
            "Memory did not suffice to load it. Give a smaller --decoding_memory_mb or fewer"
            " --decoders, or score it on a larger host.",
        ) from error


def load_input(scoring_input: ScoringInput, preprocessing: Preprocessing) -> np.ndarray:
    """The values of `load_view` alone."""
    return load_view(scoring_input, preprocessing).values


def read_image_file(
    path: str, member: tuple[int, int] | None = None, limits: ReadLimits = DEFAULT_LIMITS
) -> bytes:
    """The bytes of an image file, or of the part of it from a first byte on.

    Args:
        path: The file.
        member: First byte and number of bytes; None: the whole file.
        limits: What reading it may take.

    Raises:
        ImageError: `missing`, `bad_row` for what no path can be, `unreadable` for what is not a
            regular file, denies access or does not come in time, or `too_large` above the limit.
    """
    path = local_path(path)
    if is_url(path):
        return _read_remote_file(path, limits)
    try:
        # A pipe or a device would block, or never end.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("unreadable", f"{path!r} is not a regular file.")
        size = status.st_size if member is None else member[1]
        if size > limits.most_bytes:
            raise FileTooLargeError(path, limits)
        with open(path, "rb") as file:
            if member is None:
                return file.read()
            file.seek(member[0])
            return file.read(member[1])
    except ImageError:  # Itself a ValueError.
        raise
    except FileTooLargeError as error:
        raise ImageError("too_large", str(error)) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("missing", f"No such file: {path!r}") from error
    except ValueError as error:  # A zero byte.
        raise ImageError("bad_row", f"{path!r} is no path: {error}.") from error
    except OSError as error:
        raise ImageError("unreadable", f"{path!r} cannot be read: {error.strerror}.") from error


def _read_remote_file(url: str, limits: ReadLimits) -> bytes:
    try:
        return read_url(url, limits)
    except FileNotFoundError as error:
        raise ImageError("missing", f"No such file: {url!r}") from error
    except FileTooLargeError as error:
        raise ImageError("too_large", str(error)) from error
    except Exception as error:  # Each kind of storage raises its own types.
        reason = f"{type(error).__name__}: {error}"
        raise ImageError("unreadable", f"{url!r} cannot be read: {reason}") from error
