"""Outputs of runtimes beside those of ONNX Runtime, as lines of a table."""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far a runtime's outputs are from others of the same images.

    Attributes:
        probability: The largest of a probability.
        heatmap: The largest of a heatmap, as a share of the largest value.
        decisions: How many differ.
    """

    probability: float
    heatmap: float
    decisions: int

    @classmethod
    def between(cls, ours: Outputs, theirs: Outputs, thresholds: np.ndarray) -> "Difference":
        """Of outputs `NAMES`, decided above thresholds `[L]`; a NaN on one side stays one."""
        probability, heatmap = (np.abs(ours[name] - theirs[name]).max() for name in NAMES)
        decided = [outputs["probabilities"] > thresholds for outputs in (ours, theirs)]
        changed = int((decided[0] != decided[1]).sum())
        return cls(float(probability), float(heatmap / np.abs(ours["heatmaps"]).max()), changed)

    def is_within(self, limit: float) -> bool:
        """Whether both shares are at most the limit, which no NaN is."""
        return self.probability <= limit and self.heatmap <= limit

    def line(self, runtime: str) -> str:
        """A line of the table of a file."""
        values = f"{self.probability:.1e} | {self.heatmap:.1e} | {self.decisions} differ"
        return f"| | {runtime} | {values} |"
