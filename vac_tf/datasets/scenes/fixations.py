"""Simulated fixations on the generated scenes, written beside them in SALICON's layout.

Nobody looked at these images. The fixations are drawn from three things that real ones are known
to depend on, so that a saliency network has something to learn without any download: the middle
of the image (Tatler, Journal of Vision 7(14), 2007), and the size and the contrast of objects.
Figures measured on them say nothing about people.
"""

import dataclasses
import json
import logging
import os
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation

from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.scenes.reader import read_scenes, scenes_folder
from vac_tf.datasets.split import DatasetError, ObjectAnnotation, RejectedRow, Split
from vac_tf.runs.atomic_file import write_atomically

_LOGGER = logging.getLogger(__name__)

# Raised with every change of what is simulated, so that older files are written anew.
SIMULATION_VERSION = 1
_SPLITS = ("train", "val", "test")
_WORKERS = 8
_FEWEST, _MOST = 6, 10  # fixations of one worker
_CENTRE_SHARE, _ANYWHERE_SHARE = 0.25, 0.05  # the rest go to objects
_CENTRE_WIDTH = 0.18  # standard deviation of the centre bias, of the image's side


def read_scene_fixations(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    image_size: int = 96,
    train_images: int = 3000,
    seed: int = 0,
) -> SaliencySplit:
    """Reads the simulated fixations of a split of the scenes; simulates them on first use.

    Args:
        data_dir, split, image_size, train_images, seed: as `read_scenes`.
        rejected: as `vac_tf.datasets.fixations.salicon.read_salicon`.

    Raises:
        DatasetError: for an unknown split, or when the folder cannot be written.
    """
    options = {"image_size": image_size, "train_images": train_images, "seed": seed}
    scenes = read_scenes(data_dir, split, with_objects=True, **options)
    folder = scenes_folder(data_dir, **options)
    path = folder / "annotations" / f"fixations_{split}.json"
    if not _is_current(path):
        _LOGGER.info("Simulating fixations on %d scenes into %s.", len(scenes), path)
        content = _simulate(scenes, split, seed)
        try:
            write_atomically(str(path), json.dumps(content).encode())
        except OSError as error:
            raise DatasetError(
                f"Cannot write the simulated fixations {path} ({error}). Name a writable data_dir."
            ) from error
    return dataclasses.replace(read_salicon(folder, split, rejected=rejected), dataset="scenes")


def fixation_weights(
    image: np.ndarray, objects: tuple[ObjectAnnotation, ...]
) -> list[tuple[np.ndarray, float]]:
    """What attracts the simulated gaze: mask and share (they add up to 1) of every object.

    The share grows with the square root of the visible area and with the contrast: the distance
    in RGB between the mean colours of the object and of a ring around it.

    Args:
        image: uint8 `[H, W, 3]`.
        objects: their masks must be COCO run lengths.
    """
    # Imported here: reading fixations that exist needs no pycocotools.
    from pycocotools import mask as run_lengths

    pixels = image.astype(np.float64)
    masks, weights = [], []
    for item in objects:
        mask = run_lengths.decode(item.segmentation).astype(bool)
        ring = binary_dilation(mask, iterations=max(2, len(image) // 32)) & ~mask
        if not mask.any() or not ring.any():
            continue
        contrast = np.linalg.norm(pixels[mask].mean(axis=0) - pixels[ring].mean(axis=0))
        masks.append(mask)
        weights.append(np.sqrt(mask.sum()) * (10.0 + contrast))
    return [(mask, weight / sum(weights)) for mask, weight in zip(masks, weights, strict=True)]


def _simulate(scenes: Split, split: str, seed: int) -> dict:
    images, annotations = [], []
    for index, path in enumerate(scenes.image_paths):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        height, width = pixels.shape[:2]
        # The last number keeps these draws apart from those that drew the scene.
        generator = np.random.default_rng([seed, _SPLITS.index(split), index, 1])
        targets = fixation_weights(pixels, scenes.objects[index])
        images.append(
            {"id": index, "file_name": os.path.basename(path), "height": height, "width": width}
        )
        for worker in range(1, _WORKERS + 1):
            points = _look(generator, (height, width), targets)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "worker_id": worker,
                    "fixations": (points + 1).tolist(),
                }
            )
    return {
        "info": {
            "description": "SIMULATED fixations on generated scenes: centre bias, object size and"
            " contrast. Nobody looked at these images.",
            "version": str(SIMULATION_VERSION),
        },
        "images": images,
        "annotations": annotations,
    }


def _look(generator, size, targets) -> np.ndarray:
    """Fixations of one worker, int64 `[F, 2]` of row and column from 0."""
    count = int(generator.integers(_FEWEST, _MOST + 1))
    shares = [(1 - _CENTRE_SHARE - _ANYWHERE_SHARE) * share for _, share in targets]
    chances = np.array([*shares, _ANYWHERE_SHARE])
    chosen = generator.choice(len(chances) + 1, count, p=[*chances, 1 - chances.sum()])
    points = [_point(generator, size, targets, kind) for kind in chosen]
    return np.clip(np.array(points), 0, np.array(size) - 1).astype(np.int64)


def _point(generator, size, targets, kind: int) -> np.ndarray:
    """A point near the middle of target `kind`, or anywhere, or near the middle of the image."""
    if kind < len(targets):
        rows, columns = np.nonzero(targets[kind][0])
        spread = 0.25 * np.sqrt(len(rows))
        return generator.normal((rows.mean(), columns.mean()), spread)
    if kind == len(targets):
        return generator.uniform((0, 0), size)
    middle = np.array(size) / 2
    return generator.normal(middle, _CENTRE_WIDTH * np.array(size))


def _is_current(path: Path) -> bool:
    """Whether the file exists and this version wrote it."""
    if not path.exists():
        return False
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["info"]["version"] == str(SIMULATION_VERSION)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return False  # Damaged by hand: simulating again gives the same fixations.
