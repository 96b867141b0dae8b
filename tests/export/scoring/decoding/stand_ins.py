"""Ways to load an input that decoder processes can import."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from export.images.image_header import ImageError
from export.scoring.decoding.loading import LoadedInput
from export.scoring.sources.image_file import ImageView


def load_number(scoring_input, settings, budget):
    """An image of the number that is the input's name; a negative one is an error."""
    number = int(scoring_input.image)
    if number < 0:
        return LoadedInput(scoring_input, error=ImageError("missing", f"no {number}"))
    values = np.full((1, 1, 3), number, np.float32)
    return LoadedInput(scoring_input, ImageView(values, (0, 0, number, 1)))


def load_or_die(scoring_input, settings, budget):
    """As `load_number`; the process dies at an input with a path, while that is there.

    At a file it dies once, at a folder always, both while it holds memory.
    """
    if scoring_input.path:
        path = Path(scoring_input.path)
        is_there = path.exists()
        if path.is_file():
            path.unlink()
        if is_there:
            with budget.hold(1000):
                os.kill(os.getpid(), signal.SIGKILL)
    with budget.hold(600):
        return load_number(scoring_input, settings, budget)


def load_slowly(scoring_input, settings, budget):
    """As `load_number`, after a long time."""
    time.sleep(60)
    return load_number(scoring_input, settings, budget)


def fail(scoring_input, settings, budget):
    """A fault of the program."""
    raise KeyError(f"input {scoring_input.image}")
