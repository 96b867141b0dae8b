"""Where people look at the images of a split: by their fixations, or as a network predicts it."""

import dataclasses
import os
import re
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from vac_tf.analysis.objects.table import image_size
from vac_tf.datasets.fixations.density import split_density
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.split import DatasetError
from vac_tf.evaluation.saliency_baselines import CentreBias, OtherFixations

_GRID = (96, 96)  # of the mean of predicted densities
# SALICON names photographs as COCO did in 2014; in 2017 the same ones lost this prefix.
_COCO_PREFIX = re.compile(r"^COCO_(train|val|test)\d{4}_")


@dataclasses.dataclass(frozen=True)
class ImageAttention:
    """The attention that maps of one image are compared with.

    Attributes:
        density: [H, W] of sum 1.
        centre_bias: [H, W] of sum 1, fitted on other images.
        counts: int [H, W], fixations on each pixel; None where attention is predicted.
        other_counts: int [H, W], fixations on other images; None where attention is predicted.
    """

    density: np.ndarray
    centre_bias: np.ndarray
    counts: np.ndarray | None = None
    other_counts: np.ndarray | None = None


class FixationReference:
    """Fixations on some of the images of a split.

    The centre bias of an image is fitted on the fixations of the other half of the images: those
    at odd positions for one at an even position, and the reverse.

    Args:
        fixations: images and their fixations.
        image_paths: the images of the split; matched by path, or else by file name.
        kind: what the fixations are, in words.
        seed: of the fixations drawn for the shuffled AUC.

    Attributes:
        kind: as given.
        images: indices of the images of the split that have fixations, in rising order.

    Raises:
        DatasetError: when fewer than two images match: there is no other image then.
    """

    def __init__(
        self, fixations: SaliencySplit, image_paths: Sequence[str], kind: str, seed: int = 0
    ):
        rows = match_images(image_paths, fixations.image_paths)
        if len(rows) < 2:
            raise DatasetError(
                f"Fixations on {len(rows)} of the {len(image_paths)} images were found, at least 2"
                f" are needed. Images are matched by file name: {fixations.image_paths[0]} has"
                f" fixations, the split begins with {image_paths[0]}."
            )
        self.kind = kind
        self.images = sorted(rows)
        self._position = {image: position for position, image in enumerate(self.images)}
        self._split = fixations.select([rows[image] for image in self.images])
        self._others = OtherFixations(self._split, seed)
        halves = [np.arange(start, len(self._split), 2) for start in (0, 1)]
        self._centre_of_half = [CentreBias(self._split.select(half)) for half in halves]

    def density(self, image: int) -> np.ndarray:
        """float64 [H, W] of sum 1."""
        return split_density(self._split, self._position[image])

    def at(self, image: int) -> ImageAttention:
        position = self._position[image]
        size = tuple(int(side) for side in self._split.sizes[position])
        return ImageAttention(
            self.density(image),
            self._centre_of_half[(position + 1) % 2].density(*size),
            self._split.counts(position),
            self._others.counts(position),
        )


class PredictedReference:
    """Attention as a saliency network predicts it: an audit without fixations.

    The centre bias of an image is the mean prediction for the other half of the images.

    Args:
        predict: index of an image, height, width -> density [height, width].
        image_paths: the images of the split, at least two.

    Attributes:
        kind: "predicted saliency".
        images: all indices.
    """

    kind = "predicted saliency"

    def __init__(self, predict: Callable[[int, int, int], np.ndarray], image_paths: Sequence[str]):
        if len(image_paths) < 2:
            raise DatasetError("A centre bias of other images needs at least two images, got one.")
        self.images = list(range(len(image_paths)))
        self._predict, self._paths = predict, image_paths
        self._mean_of_half = [
            np.mean([predict(image, *_GRID) for image in self.images[start::2]], axis=0)
            for start in (0, 1)
        ]

    def density(self, image: int) -> np.ndarray:
        """float64 [H, W] of sum 1."""
        return self._predict(image, *image_size(self._paths[image]))

    def at(self, image: int) -> ImageAttention:
        density = self.density(image)
        mean = Image.fromarray(self._mean_of_half[(image + 1) % 2].astype(np.float32), mode="F")
        resized = mean.resize(density.shape[::-1], Image.Resampling.BILINEAR)
        centre = np.asarray(resized, np.float64)
        return ImageAttention(density, centre / centre.sum())


def match_images(image_paths: Sequence[str], others: Sequence[str]) -> dict[int, int]:
    """Which of `others` shows the same image: by its path or else by its file name.

    Names are compared without their extension and without the prefix of COCO's 2014 release, and
    only where no two files of a side share them.

    Returns:
        index into `image_paths` -> index into `others`.
    """
    by_path = {os.path.realpath(path): index for index, path in enumerate(others)}
    by_name, own_names = _by_unique_name(others), _by_unique_name(image_paths)
    found = {}
    for index, path in enumerate(image_paths):
        other = by_path.get(os.path.realpath(path))
        if other is None and own_names.get(_name(path)) == index:
            other = by_name.get(_name(path))
        if other is not None:
            found[index] = other
    return found


def _by_unique_name(paths: Sequence[str]) -> dict[str, int]:
    numbers: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        numbers.setdefault(_name(path), []).append(index)
    return {name: indices[0] for name, indices in numbers.items() if len(indices) == 1}


def _name(path: str) -> str:
    return _COCO_PREFIX.sub("", os.path.splitext(os.path.basename(path))[0])
