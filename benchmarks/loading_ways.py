"""Ways to load an image that decoder processes can import: what `benchmarks.loading` compares."""

import time

import numpy as np

from export.images.bilinear import resize_bands
from export.images.preprocessing import cut_out
from export.scoring.decoding.loading import LoadedInput, LoadingSettings
from export.scoring.sources.image_file import ImageView, read_image_file
from export.scoring.sources.input import ScoringInput

STAND_IN_SECONDS = 0.006
_STAND_IN_PIXELS = {}


def load_by_bands(scoring_input: ScoringInput, settings: LoadingSettings, budget) -> LoadedInput:
    """Loads a file, resized by Pillow band by band."""
    pixels, corners = cut_out(read_image_file(scoring_input.path), settings.preprocessing)
    size = settings.preprocessing
    return LoadedInput(
        scoring_input, ImageView(resize_bands(pixels, size.height, size.width), corners)
    )


def load_nothing(scoring_input: ScoringInput, settings: LoadingSettings, budget) -> LoadedInput:
    """Takes the time of a decoder and no processor: sleeps, and gives pixels to be written."""
    time.sleep(STAND_IN_SECONDS)
    shape = (settings.preprocessing.height, settings.preprocessing.width, 3)
    if shape not in _STAND_IN_PIXELS:
        _STAND_IN_PIXELS[shape] = np.full(shape, 1.0, np.float32)
    return LoadedInput(scoring_input, ImageView(_STAND_IN_PIXELS[shape], (0, 0, *shape[:2])))
