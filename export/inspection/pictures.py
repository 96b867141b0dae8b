"""The images that `--images` names, as pictures for a model and for people."""

import itertools
import os
from collections.abc import Iterator

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.images.image_header import ImageError
from export.scoring.sources.image_file import load_view
from export.scoring.sources.input import ScoringInput, Source
from vac_tf.configs.viewed_model import ViewedModelConfig
from vac_tf.explanation.picture import Picture


def read_pictures(
    source: Source, preprocessing: Preprocessing, config: ViewedModelConfig
) -> Iterator[Picture]:
    """The pictures of a source in order, the first `config.max_images` of them; 0: all.

    One that cannot be read says why; the others are not touched by it.
    """
    rows = itertools.islice(source.read(), config.max_images or None)
    folder = config.images or getattr(config, "data_dir", "")
    folder = os.path.join(folder, "") if os.path.isdir(folder) else ""
    return (_read_picture(row, preprocessing, folder) for row in rows)


def _read_picture(row: ScoringInput, preprocessing: Preprocessing, folder: str) -> Picture:
    """One picture, with the kind of error of `score.py` and its reason where there is none."""
    name = row.image or row.problem or "?"
    title = name.removeprefix(folder)
    try:
        view = load_view(row, preprocessing, with_picture=True)
    except ImageError as error:
        return Picture(name, title, problem=str(error), status=error.status)
    return Picture(name, title, view.values.astype(np.float32, copy=False), view.picture)
