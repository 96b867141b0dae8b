"""Ways to load an input that decoder processes can import: at once, computing, or waiting."""

import time

import numpy as np

from export.scoring.decoding.loading import LoadedInput
from export.scoring.sources.image_file import ImageView

SECONDS = 0.003
LONG_SECONDS = 0.02


def compute(*_):
    """Takes processor time, however many others want it too."""
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        pass


def load_at_once(scoring_input, settings, budget):
    return LoadedInput(scoring_input, ImageView(np.ones((1, 1, 3), np.float32), (0, 0, 1, 1)))


def load_computing(scoring_input, settings, budget):
    compute()
    return load_at_once(scoring_input, settings, budget)


def load_waiting(scoring_input, settings, budget):
    time.sleep(LONG_SECONDS)
    return load_at_once(scoring_input, settings, budget)
