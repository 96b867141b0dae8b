"""What a saliency network must be compared with: centre bias, human agreement, chance."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from vac_tf.datasets.fixations.density import fixation_density, shrink_counts
from vac_tf.datasets.fixations.split import SaliencySplit, count_points

_GRID = (240, 320)  # of the centre bias: half of SALICON's screen
_UNIFORM_SHARE = 0.001  # so that no pixel is impossible
_MOST_OTHERS = 100_000  # fixations of other images; more change nothing that can be seen


class CentreBias:
    """Where people look whatever the image shows: the fixations of other images, blurred.

    Fitted on the training split; the strongest predictor that does not look at the image. All
    fixations, in units of height and width, become one density, as those of one image do.

    Args:
        split: the training images.

    Attributes:
        num_images: how many there are.
        grid: float64 [240, 320] of sum 1, above 0 everywhere.
    """

    def __init__(self, split: SaliencySplit):
        self.num_images = len(split)
        height, width = _GRID
        counts = np.zeros(_GRID, np.int64)
        for index in range(len(split)):
            counts += shrink_counts(split.points(index), split.sizes[index], height, width)
        points = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0)
        density = fixation_density(points, _GRID)
        self.grid = (1 - _UNIFORM_SHARE) * density + _UNIFORM_SHARE / density.size

    def density(self, height: int, width: int) -> np.ndarray:
        """float64 [height, width] of sum 1."""
        image = Image.fromarray((self.grid * self.grid.size).astype(np.float32), mode="F")
        resized = image.resize((width, height), Image.Resampling.BILINEAR)
        values = np.asarray(resized, np.float64)
        return values / values.sum()


class OtherFixations:
    """For every image of a split the fixations of the others, for the shuffled AUC.

    Where there are more than 100,000 in all, so many are drawn.

    Args:
        split: the images.
        seed: of the drawing.
    """

    def __init__(self, split: SaliencySplit, seed: int = 0):
        points = [split.points(index) / split.sizes[index] for index in range(len(split))]
        self._owners = np.repeat(np.arange(len(split)), [len(values) for values in points])
        self._points = np.concatenate(points)  # 0..1, in units of height and width
        if len(self._points) > _MOST_OTHERS:
            chosen = np.random.default_rng(seed).choice(
                len(self._points), _MOST_OTHERS, replace=False
            )
            self._owners, self._points = self._owners[chosen], self._points[chosen]
        self._sizes = split.sizes

    def counts(self, index: int) -> np.ndarray:
        """Their number on each pixel of image `index`, moved to its size; int64 [H, W]."""
        size = self._sizes[index]
        # A point at the very row r is r/H, whose product with H can come out just below r.
        points = np.floor(self._points[self._owners != index] * size + 1e-6).astype(np.int64)
        return count_points(points, tuple(size))


def observers_left_out(
    split: SaliencySplit, index: int, most: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One observer's fixations, and those of all others, for several observers of an image.

    Args:
        split: the images.
        index: which of them.
        most: observers to leave out in turn, drawn at random; 0: all.
        seed: of the drawing.

    Yields:
        int64 [F, 2] of row and column of the one, and of the others. Nothing where only one
        person looked at the image.
    """
    looks = split.fixations[index]
    if len(looks) < 2:
        return
    count = min(most or len(looks), len(looks))
    for left_out in np.random.default_rng([seed, index]).permutation(len(looks))[:count]:
        others = [look for number, look in enumerate(looks) if number != left_out]
        yield looks[left_out], np.concatenate(others)
