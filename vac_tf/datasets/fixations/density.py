"""Fixations blurred into densities, and the small maps that a network trains on, built once."""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from vac_tf.datasets.fixations.map_image import read_map_image
from vac_tf.datasets.fixations.split import SaliencySplit, count_points
from vac_tf.datasets.split import DatasetError
from vac_tf.runs.atomic_file import write_atomically

SIGMA = 19.0  # pixels, on SALICON's screen of 640 x 480
_DIAGONAL = 800.0  # of that screen
# Raised with every change of how densities are made, so that no cache of older ones is read.
_VERSION = 2


def blur_sigma(size: tuple[int, int]) -> float:
    """Standard deviation of the Gaussian in pixels: 19 at 640x480, scaled with the diagonal."""
    return SIGMA * float(np.hypot(*size)) / _DIAGONAL


def fixation_density(
    points: np.ndarray, size: tuple[int, int], sigma: float | None = None
) -> np.ndarray:
    """Fixations blurred with a Gaussian, as SALICON's maps are made.

    What the Gaussian would put outside the image is reflected into it (as in the official Python
    API), so every fixation weighs the same.

    Args:
        points: [F, 2] of row and column in pixels, 0-based; one that occurs twice counts twice.
        size: height and width of the image.
        sigma: standard deviation in pixels; None: `blur_sigma(size)`.

    Returns:
        float64 [H, W] of sum 1.

    Raises:
        ValueError: when there are no points.
    """
    if not len(points):
        raise ValueError("A density needs at least one fixation, got none.")
    sigma = blur_sigma(size) if sigma is None else sigma
    density = gaussian_filter(count_points(points, size).astype(np.float64), sigma)
    return density / density.sum()


def split_density(split: SaliencySplit, index: int) -> np.ndarray:
    """The density of an image of a split: its published map, or its fixations blurred.

    Returns:
        float64 [H, W] of sum 1.

    Raises:
        DatasetError: when a published map cannot be read, is black or of another size.
    """
    size = tuple(int(side) for side in split.sizes[index])
    if split.map_paths is None:
        return fixation_density(split.points(index), size)
    path = split.map_paths[index]
    try:
        values = read_map_image(path).astype(np.float64)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: this map cannot be read: {error}.") from error
    if values.shape != size or not values.any():
        raise DatasetError(f"{path}: a map of {size} pixels that is not black was expected.")
    return values / values.sum()


def shrink_density(density: np.ndarray, height: int, width: int) -> np.ndarray:
    """A density on another grid: the mean over what each cell covers; float32, sum 1."""
    image = Image.fromarray(np.asarray(density * density.size, np.float32), mode="F")
    small = np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float64)
    return (small / small.sum()).astype(np.float32)


def shrink_counts(points: np.ndarray, size: tuple[int, int], height: int, width: int) -> np.ndarray:
    """Number of points in each cell of a grid laid over the image, int64 [height, width]."""
    cells = np.asarray(points) * (height, width) // np.asarray(size)
    return count_points(cells, (height, width))


def saliency_targets(split: SaliencySplit, grid_size: int, cache_dir: str = "") -> np.ndarray:
    """What a network trains on and is selected by: densities and fixations on a square grid.

    Images are squeezed into squares, so their maps are as well. Built in parallel and kept in
    `cache_dir`, in a file named after everything that the targets depend on.

    Args:
        split: the images.
        grid_size: cells per side of the grid, S.
        cache_dir: folder of the cache; empty: none.

    Returns:
        float32 [N, S, S, 2]: the density (sum 1), and the number of fixations of each cell.

    Raises:
        DatasetError: when a published map is unusable.
        OSError: when the cache cannot be written.
    """
    path = os.path.join(cache_dir, f"saliency_{_digest(split, grid_size)}.npy")
    if cache_dir and os.path.exists(path):
        return np.load(path)

    def target(index):
        size = tuple(split.sizes[index])
        density = shrink_density(split_density(split, index), grid_size, grid_size)
        counts = shrink_counts(split.points(index), size, grid_size, grid_size)
        return np.stack([density, counts.astype(np.float32)], axis=-1)

    with ThreadPoolExecutor() as pool:
        targets = np.stack(list(pool.map(target, range(len(split)))))
    if cache_dir:
        os.makedirs(cache_dir, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, targets)
        write_atomically(path, buffer.getvalue())
    return targets


def _digest(split: SaliencySplit, grid_size: int) -> str:
    digest = hashlib.sha256(f"{_VERSION} {grid_size} {SIGMA}".encode())
    for index in range(len(split)):
        digest.update(split.sizes[index].tobytes() + split.points(index).tobytes())
        if split.map_paths is not None:
            stat = os.stat(split.map_paths[index])
            row = f"{split.map_paths[index]} {stat.st_size} {stat.st_mtime_ns}"
            digest.update(row.encode(errors="surrogateescape"))
    return digest.hexdigest()[:24]
