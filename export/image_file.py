"""One input of a scoring job, from its path to the network's input."""

import os
import stat

import numpy as np

from export.image_header import ImageError
from export.preprocessing import Preprocessing, prepare
from export.sources import ScoringInput


def load_input(scoring_input: ScoringInput, preprocessing: Preprocessing) -> np.ndarray:
    """Reads, decodes, crops and resizes one input.

    Returns:
        `[height, width, 3]` RGB in 0..255, float32 or uint8 as the model says.

    Raises:
        ImageError: with the status of the row: `bad_row`, `missing`, `unreadable`, `too_large`
            or `unsupported`.
    """
    if scoring_input.problem:
        raise ImageError("bad_row", scoring_input.problem)
    return prepare(read_image_file(scoring_input.path), preprocessing, scoring_input.box)


def read_image_file(path: str) -> bytes:
    """The bytes of an image file.

    Raises:
        ImageError: `missing`, or `unreadable` for what is not a regular file or denies access.
    """
    try:
        # A pipe or a device would block, or never end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ImageError("unreadable", f"{path!r} is not a regular file.")
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("missing", f"No such file: {path!r}") from error
    except OSError as error:
        raise ImageError("unreadable", f"{path!r} cannot be read: {error.strerror}.") from error
