"""Outputs of runtimes beside those of ONNX Runtime, as lines of a table."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.images.preprocessing import fit
from export.scoring.inference.image_input import ImageInput

NAMES = ("probabilities", "heatmaps")
Outputs = dict[str, np.ndarray]


def input_images(preprocessing: Preprocessing, folder: str, count: int) -> np.ndarray:
    """The network's input of the first images of a folder by name, `[B, H, W, 3]`.

    Raises:
        ValueError: there is no image.
    """
    kinds = (".jpg", ".jpeg", ".png")
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in kinds)
    if not paths:
        raise ValueError(f"--images={folder} holds no JPEG or PNG file.")
    pixels = (ImageInput.of(path, preprocessing).pixels() for path in paths[:count])
    return np.stack([fit(each, preprocessing) for each in pixels])


def one_by_one(run: Callable[[np.ndarray], Outputs], images: np.ndarray) -> Outputs:
    """The outputs `NAMES` of images in batches of one, joined."""
    rows = [run(image[None]) for image in images]
    return {name: np.concatenate([row[name] for row in rows]) for name in NAMES}


def line(runtime: str, ours: Outputs, theirs: Outputs, thresholds: np.ndarray) -> str:
    """Largest difference of a probability, of a heatmap as a share of the largest value, and the
    number of decisions that differ."""
    difference = [np.abs(ours[name] - theirs[name]).max() for name in NAMES]
    share = difference[1] / np.abs(ours["heatmaps"]).max()
    decided = [outputs["probabilities"] > thresholds for outputs in (ours, theirs)]
    changed = int((decided[0] != decided[1]).sum())
    return f"| | {runtime} | {difference[0]:.1e} | {share:.1e} | {changed} differ |"
